"""Evaluation with greedy generation: frtune beside ``generate`` in the order of the rows.

    python benchmarks/generation_evaluation.py

T5-base's and GPT-NeoX's shapes, cut to ``--layers`` blocks, with random weights and a small
tokenizer trained on the texts. The rows are, in equal parts, abstracts of Inspec, questions of
StackExchange and articles of Papyrus. The output layer alone is fitted to their keyphrases, by
logistic regression on what the blocks give. It then writes the rows' keyphrases and ends where they
end, after 3 to 60 tokens, by margins that are wide as those of a trained model are.

Times are those of all rows' texts, tokenised before; all ways must write the same.
``Seq2SeqTrainer.predict`` computes the loss besides, which it cannot leave out; ``generate`` in row
order does not, and nor does frtune here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import tempfile
from pathlib import Path

from _compare import Timer, compare, parser, report, run_apart, shared_data, warm_up

BATCH = 8
SOURCE = 512
DATA = ("en_inspec", "en_stackexchange_takg", "fr_papyrus_f")


def rows_of(count: int):
    """Texts and their keyphrases, as many of each data set, after a seeded shuffle."""
    rows = []
    for name in DATA:
        lines = (shared_data() / name / "validation.jsonl").read_text(encoding="utf-8")
        found = [json.loads(line) for line in lines.splitlines()]
        rows += random.Random(1).sample(found, count // len(DATA))
    random.Random(2).shuffle(rows)
    return [row["text"] for row in rows], [row["keyphrases"] for row in rows]


def make_model(timer: Timer, family: str, folder: Path, layers: int, count: int, new: int) -> dict:
    """Save the shape with random weights, and an output layer that is fitted to the rows."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from frtune import tiny_checkpoint

    texts, phrases = rows_of(count)
    lines = ["; ".join(row) for row in phrases]
    tiny_checkpoint(family, [*texts, *lines], folder)
    config = AutoConfig.from_pretrained(folder)
    if family == "t5":
        config.update({"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_heads": 12,
                       "num_layers": layers, "num_decoder_layers": layers,
                       "tie_word_embeddings": False})  # fmt: skip
        make = AutoModelForSeq2SeqLM
    else:
        config.update({"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
                       "num_hidden_layers": layers, "max_position_embeddings": 1024})  # fmt: skip
        make = AutoModelForCausalLM
    torch.manual_seed(0)
    make.from_config(config).save_pretrained(folder)
    task, model, tokenizer, rows = prepared(family, folder, count, new)
    with timer, torch.no_grad():
        remembered = fit_output(model, task.collator(model, tokenizer), rows)
    model.save_pretrained(folder)
    return {"remembered_tokens": remembered}


def fit_output(model, collate, rows) -> float:
    """Logistic regression from the last hidden states to the tokens; the share it gets right."""
    import torch

    output, seen, states, wanted = model.get_output_embeddings(), [], [], []
    hook = output.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    shift = 0 if model.config.is_encoder_decoder else 1
    for start in range(0, len(rows), BATCH):
        batch = collate([rows[i] for i in range(start, min(start + BATCH, len(rows)))])
        model(**{name: values for name, values in batch.items() if name != "row"})
        labels = batch["labels"][:, shift:]
        states.append(seen.pop()[:, : labels.shape[1]][labels >= 0])
        wanted.append(labels[labels >= 0])
    hook.remove()
    x, y = torch.cat(states), torch.cat(wanted)  # (tokens, width), (tokens,)
    tokens, y = y.unique(return_inverse=True)
    fitted = torch.zeros(len(tokens), x.shape[1], requires_grad=True)
    search = torch.optim.LBFGS([fitted], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        with torch.enable_grad():
            found = (
                torch.nn.functional.cross_entropy(x @ fitted.T, y) + 1e-6 * fitted.square().sum()
            )
            found.backward()
        return found.detach()

    search.step(loss)
    weights = torch.zeros_like(output.weight)
    weights[tokens] = fitted.detach()
    output.weight.copy_(weights)
    if output.bias is not None:
        output.bias.zero_()
    return ((x @ weights.T).argmax(-1) == tokens[y]).double().mean().item()


def prepared(family: str, folder: Path, count: int, new: int):
    """Task, model, tokenizer and the encoded rows."""
    from datasets import Dataset

    from frtune import KeyphraseGeneration, build_model
    from frtune.models.families import kind_of
    from frtune.training.encoding import encode_dataset

    task = KeyphraseGeneration(max_source_tokens=SOURCE, max_target_tokens=new)
    model, tokenizer = build_model(task, checkpoint=str(folder), proof=False)
    texts, phrases = rows_of(count)
    rows = Dataset.from_dict({"text": texts, "keyphrases": phrases})
    return task, model.eval(), tokenizer, encode_dataset(
        rows, task, tokenizer, kind=kind_of(model)
    )  # fmt: skip


def written(rows: list[list[int]]) -> dict[str, float | str]:
    """A fingerprint of all texts, and their tokens."""
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
    return {"texts": digest, "tokens": sum(map(len, rows))}


def ours(timer: Timer, family: str, folder: Path, count: int, new: int) -> dict:
    """The way of frtune, in bf16 where that is fast, as its evaluations and predictions are."""
    import torch

    from frtune.environment.hardware import has_bf16
    from frtune.models.families import kind_of
    from frtune.training.generation import generate, generation_settings, prompts_of

    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=has_bf16())
    task, model, tokenizer, rows = prepared(family, folder, count, new)
    kind = kind_of(model)
    end = task.end_id(tokenizer, kind)
    settings = generation_settings(tokenizer, end_id=end, max_new_tokens=new)
    from frtune.environment.process import keep_freed_memory

    keep_freed_memory()  # as the program ``frtune`` does
    with timer:
        found = generate(
            model, prompts_of(rows, kind), settings, batch_size=BATCH, autocast=autocast
        )
    return written([row.ids for row in found])


def settings_of(task, tokenizer, kind, new: int) -> dict:
    """What ``generate`` must be told in any case."""
    ends = [task.end_id(tokenizer, kind)]
    if tokenizer.eos_token_id not in (None, ends[0]):
        ends.append(tokenizer.eos_token_id)
    return {"max_new_tokens": new, "do_sample": False, "eos_token_id": ends,
            "pad_token_id": tokenizer.pad_token_id}  # fmt: skip


def cut(found: list[list[int]], settings: dict) -> dict[str, float | str]:
    """The fingerprint of rows that may go on after their end."""
    from frtune.training.generation import _until_end

    ids = [[token for token in row if token >= 0] for row in found]
    ends, new = settings["eos_token_id"], settings["max_new_tokens"]
    return written([_until_end(row, ends, new)[0] for row in ids])


def trainer_predict(timer: Timer, family: str, folder: Path, count: int, new: int) -> dict:
    """The way of ``Seq2SeqTrainer.predict``."""
    import torch
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

    task, model, tokenizer, rows = prepared(family, folder, count, new)
    settings = settings_of(task, tokenizer, "encoder-decoder", new)
    with tempfile.TemporaryDirectory() as name:
        args = Seq2SeqTrainingArguments(
            name, per_device_eval_batch_size=BATCH, predict_with_generate=True,
            use_cpu=not torch.accelerator.is_available(), disable_tqdm=True,
        )  # fmt: skip
        trainer = Seq2SeqTrainer(
            model, args, data_collator=task.collator(model, tokenizer), processing_class=tokenizer
        )
        with timer:
            found = trainer.predict(rows, **settings).predictions[:, 1:].tolist()
    return cut(found, settings)


def in_row_order(timer: Timer, family: str, folder: Path, count: int, new: int) -> dict:
    """The way of ``generate`` on batches in the order of the rows."""
    import torch

    from frtune.models.families import kind_of
    from frtune.training.generation import prompts_of

    task, model, tokenizer, rows = prepared(family, folder, count, new)
    kind = kind_of(model)
    settings = settings_of(task, tokenizer, kind, new)
    side = "left" if kind == "decoder" else "right"
    prompts, found = prompts_of(rows, kind), []
    with timer, torch.no_grad():
        for start in range(0, len(prompts), BATCH):
            batch = [prompts[i] for i in range(start, min(start + BATCH, len(prompts)))]
            inputs = tokenizer.pad({"input_ids": batch}, padding_side=side, return_tensors="pt")
            output = model.generate(**inputs, **settings)
            skip = inputs["input_ids"].shape[1] if kind == "decoder" else 1
            found += output[:, skip:].tolist()
    return cut(found, settings)


def main() -> None:
    """Measure the two rows of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=48)
    made.add_argument("--layers", type=int, default=2)
    made.add_argument("--new-tokens", type=int, default=64)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows, args.new_tokens = 1, 9, 8
    warm_up()
    table = []
    for family, peers in (
        ("t5", {"Seq2SeqTrainer.predict": trainer_predict, "generate": in_row_order}),
        ("polyglot", {"generate": in_row_order}),
    ):
        with tempfile.TemporaryDirectory() as name:
            options = {"family": family, "folder": Path(name) / "model", "count": args.rows,
                       "new": args.new_tokens}  # fmt: skip
            fitted = run_apart(
                functools.partial(make_model, layers=args.layers, **options), args.threads
            )
            ways = {"frtune": ours, **peers}
            found = compare(
                f"evaluation with generation, {family}",
                {way: functools.partial(run, **options) for way, run in ways.items()},
                goals=dict.fromkeys(peers, 3), args=args, rows=args.rows, layers=args.layers,
                batch=BATCH, new_tokens=args.new_tokens, fitted=fitted,
            )  # fmt: skip
        texts = {run["texts"] for runs in found["runs"].values() for run in runs}
        found["identical_texts"] = len(texts) == 1
        table.append(found)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
