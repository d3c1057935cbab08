"""Training of a decoder with the prompt masked: frtune beside TRL's ``SFTTrainer``.

    python benchmarks/causal_training.py

GPT-NeoX's shape, 512 wide as pythia-70m is and cut to ``--layers`` blocks, with random weights and
a small tokenizer trained on the texts (its output layer has a seventh of the weights, about what
30,000 pieces have of pythia-410m), learns the tags of questions (StackExchange): the loss of a
target token falls from that of chance, the logarithm of the pieces. Each seed has weights of its
own; all ways begin with the same and train on the same tokens, which frtune made; times are those
of ``train()``. TRL runs with rows grouped by length, with bf16 where it is fast and without its
default of gradient checkpointing; and packed, as many tokens a step as the batches have on average.
"""

from __future__ import annotations

import functools
import json
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from _compare import (
    Timer,
    compare,
    parser,
    peer_python,
    peer_way,
    report,
    run_apart,
    shared_data,
    warm_up,
)

BATCH = 8
RATE = 1e-3
DATA = "en_stackexchange_takg"
SOURCE, TARGET = 512, 128


def rows_of(split: str, count: int) -> dict[str, list]:
    """Questions and their tags, after a seeded shuffle."""
    lines = (shared_data() / DATA / f"{split}.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    random.Random(1).shuffle(rows)
    return {name: [row[name] for row in rows[:count]] for name in ("text", "keyphrases")}


def start(
    timer: Timer, folder: str, layers: int, rows: int, valid: int, seeds: Sequence[int]
) -> dict[str, float]:
    """Save the models, by seed, and tokenizer that all begin with, and the tokens of the rows."""
    import torch
    from datasets import Dataset
    from transformers import AutoConfig, AutoModelForCausalLM

    from frtune import build_model, tiny_checkpoint
    from frtune.training.encoding import encode_dataset

    raw = Path(folder) / "raw"
    tiny_checkpoint("polyglot", rows_of("train", 400)["text"], raw)
    config = AutoConfig.from_pretrained(raw)
    config.update({"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8,
                   "num_hidden_layers": layers, "max_position_embeddings": 2048})  # fmt: skip
    task = causal_task()
    for seed in seeds:
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(raw)
        model, tokenizer = build_model(task, checkpoint=str(raw), proof=False)
        model.save_pretrained(Path(folder) / str(seed))
        tokenizer.save_pretrained(Path(folder) / str(seed))
    tokens = 0
    for split, count in (("train", rows), ("validation", valid)):
        encoded = encode_dataset(
            Dataset.from_dict(rows_of(split, count)), task, tokenizer, kind="decoder"
        )
        kept = {name: list(encoded[name]) for name in ("input_ids", "labels")}
        (Path(folder) / f"{split}.json").write_text(json.dumps(kept))
        tokens = tokens or sum(map(len, kept["input_ids"]))
    return {"tokens": tokens, "chance": round(math.log(len(tokenizer)), 2)}


def causal_task():
    """The task of frtune; the prompt has no loss."""
    from frtune import KeyphraseGeneration

    return KeyphraseGeneration(max_source_tokens=SOURCE, max_target_tokens=TARGET)


def tokens_of(folder: str, split: str) -> dict[str, list[list[int]]]:
    """``input_ids`` and ``labels`` of a split's rows."""
    return json.loads((Path(folder) / f"{split}.json").read_text())


def judged(model, folder: str) -> dict[str, float]:
    """Mean loss of the target tokens of the validation rows, one row at a time."""
    import torch

    model.eval()
    loss = count = 0
    for ids, labels in zip(*tokens_of(folder, "validation").values(), strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
        wanted = torch.tensor(labels)[1:]
        kept = wanted != -100
        loss -= logits[:-1][kept].log_softmax(-1).gather(1, wanted[kept][:, None]).sum().item()
        count += int(kept.sum())
    return {"loss": round(loss / count, 5)}


def ours(timer: Timer, folder: str, epochs: int, seed: int) -> dict[str, float]:
    """The way of frtune, with its defaults."""
    from datasets import Dataset

    from frtune import build_model, training_arguments

    task = causal_task()
    count = len(tokens_of(folder, "train")["labels"])
    rows = Dataset.from_dict(rows_of("train", count))
    model, tokenizer = build_model(task, checkpoint=f"{folder}/{seed}", proof=False)
    with tempfile.TemporaryDirectory() as name:
        args = training_arguments(
            task, name, per_device_train_batch_size=BATCH, num_train_epochs=epochs,
            learning_rate=RATE, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True, seed=seed,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows)
        same = list(trainer.train_dataset["labels"]) == tokens_of(folder, "train")["labels"]
        with timer:
            trainer.train()
    return {"rows": count, "same_tokens": same, **judged(model, folder)}


def main() -> None:
    """Measure the two rows of the table."""
    made = parser(__doc__, seeds=True)
    made.add_argument("--rows", type=int, default=384, help="that are trained on")
    made.add_argument("--valid-rows", type=int, default=100)
    made.add_argument("--layers", type=int, default=4)
    made.add_argument("--epochs", type=int, default=1)
    args = made.parse_args()
    if args.quick:
        args.seeds, args.rows, args.valid_rows, args.layers = [1], 16, 2, 1
    python = peer_python("trl", "trl")
    warm_up()
    from frtune.environment.hardware import has_bf16

    with tempfile.TemporaryDirectory() as folder:
        sizes = {"layers": args.layers, "rows": args.rows}
        begin = functools.partial(
            start, folder=folder, valid=args.valid_rows, seeds=args.seeds, **sizes
        )
        begun = run_apart(begin, 1)
        settings = {"folder": folder, "epochs": args.epochs}
        flags = {**settings, "batch": BATCH, "rate": RATE, "bf16": has_bf16()}
        ways = {"frtune": functools.partial(ours, **settings)}
        for name, packed in (
            ("SFTTrainer", None),
            ("SFTTrainer, packing", round(begun["tokens"] / args.rows * BATCH)),
        ):
            ways[name] = peer_way(python, "_trl_peer.py", {**flags, "packed": packed}, args.threads)
        found = compare(
            "causal fine-tuning", ways, goals=dict.fromkeys([*ways][1:], 1.15), args=args,
            data=DATA, batch=BATCH, rate=RATE, epochs=args.epochs, valid_rows=args.valid_rows,
            tokens=begun["tokens"], loss_of_chance=begun["chance"], **sizes,
        )  # fmt: skip
    report(__file__, [found], args)


if __name__ == "__main__":
    main()
