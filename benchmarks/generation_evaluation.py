"""Evaluation with greedy generation: frtune beside ``generate`` in the order of the rows.

    python benchmarks/generation_evaluation.py

T5-base's and GPT-NeoX's shapes, cut to ``--layers`` blocks, with random weights and a small
tokenizer trained on the texts: what is written is noise, of the full length. The rows are abstracts
of Inspec. Times are those of all rows' texts, tokenised before; all ways must write the same.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from pathlib import Path

from _compare import Timer, compare, parser, report, shared_data, warm_up

BATCH = 8
SOURCE = 512


def rows_of(count: int):
    """Abstracts and their keyphrases, after a seeded shuffle."""
    import random

    lines = (shared_data() / "en_inspec" / "validation.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    random.Random(1).shuffle(rows)
    texts = [row["text"] if "text" in row else row["abstract"] for row in rows[:count]]
    return texts, [["nothing"]] * len(texts)


def make_model(family: str, layers: int, folder: Path) -> None:
    """Save the shape with random weights; the input embeddings are few, as the tokenizer is."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from frtune import tiny_checkpoint

    texts, _ = rows_of(400)
    tiny_checkpoint(family, texts, folder)
    config = AutoConfig.from_pretrained(folder)
    if family == "t5":
        config.update({"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_heads": 12,
                       "num_layers": layers, "num_decoder_layers": layers})  # fmt: skip
        make = AutoModelForSeq2SeqLM
    else:
        config.update({"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
                       "num_hidden_layers": layers, "max_position_embeddings": 1024})  # fmt: skip
        make = AutoModelForCausalLM
    torch.manual_seed(0)
    make.from_config(config).save_pretrained(folder)


def prepared(family: str, folder: Path, count: int, new: int):
    """Task, model, tokenizer and the encoded rows."""
    from datasets import Dataset

    from frtune import KeyphraseGeneration, build_model
    from frtune.training.encoding import encode_dataset, kind_of

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
    """The way of frtune."""
    from frtune.training.encoding import kind_of
    from frtune.training.generation import generate, prompts_of

    task, model, tokenizer, rows = prepared(family, folder, count, new)
    kind = kind_of(model)
    from frtune._allocator import keep_freed_memory

    keep_freed_memory()  # as the trainer and ``frtune.load`` do
    with timer:
        found = generate(
            model, tokenizer, prompts_of(rows, kind), end_id=task.end_id(tokenizer, kind),
            max_new_tokens=new, batch_size=BATCH,
        )  # fmt: skip
    return written([row.ids for row in found])


def in_row_order(timer: Timer, family: str, folder: Path, count: int, new: int) -> dict:
    """``Seq2SeqTrainer.predict``, or ``generate`` on batches, in the order of the rows."""
    import torch
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

    from frtune.training.encoding import kind_of
    from frtune.training.generation import _until_end, prompts_of

    task, model, tokenizer, rows = prepared(family, folder, count, new)
    kind = kind_of(model)
    ends = [task.end_id(tokenizer, kind)]
    if tokenizer.eos_token_id not in (None, ends[0]):
        ends.append(tokenizer.eos_token_id)
    settings = {"max_new_tokens": new, "do_sample": False, "eos_token_id": ends,
                "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    if kind == "encoder-decoder":
        with tempfile.TemporaryDirectory() as name:
            args = Seq2SeqTrainingArguments(
                name, per_device_eval_batch_size=BATCH, predict_with_generate=True,
                use_cpu=not torch.accelerator.is_available(), disable_tqdm=True,
            )  # fmt: skip
            trainer = Seq2SeqTrainer(
                model, args, data_collator=task.collator(model, tokenizer),
                processing_class=tokenizer,
            )  # fmt: skip
            with timer:
                found = trainer.predict(rows, **settings).predictions[:, 1:].tolist()
    else:
        prompts, found = prompts_of(rows, kind), []
        with timer, torch.no_grad():
            for start in range(0, len(prompts), BATCH):
                batch = [prompts[i] for i in range(start, min(start + BATCH, len(prompts)))]
                inputs = tokenizer.pad(
                    {"input_ids": batch}, padding_side="left", return_tensors="pt"
                )
                output = model.generate(**inputs, **settings)
                found += output[:, inputs["input_ids"].shape[1] :].tolist()
    ids = [[token for token in row if token >= 0] for row in found]
    return written([_until_end(row, ends, new)[0] for row in ids])


def main() -> None:
    """Measure the two rows of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=64)
    made.add_argument("--layers", type=int, default=2)
    made.add_argument("--new-tokens", type=int, default=32)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows, args.new_tokens = 1, 10, 4
    warm_up()
    table = []
    for family, peer in (("t5", "Seq2SeqTrainer.predict"), ("polyglot", "generate")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "model"
            make_model(family, args.layers, folder)
            options = {"family": family, "folder": folder, "count": args.rows,
                       "new": args.new_tokens}  # fmt: skip
            ways = {
                "frtune": functools.partial(ours, **options),
                peer: functools.partial(in_row_order, **options),
            }
            found = compare(
                f"evaluation with generation, {family}", ways, goals={peer: 3}, args=args,
                rows=args.rows, layers=args.layers, batch=BATCH, new_tokens=args.new_tokens,
            )  # fmt: skip
        texts = {run["texts"] for runs in found["runs"].values() for run in runs}
        found["identical_texts"] = len(texts) == 1
        table.append(found)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
