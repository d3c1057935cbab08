"""Training of a decoder with its rows padded and packed, in batches of like length and at random.

    python benchmarks/packing.py

GPT-NeoX's shape, cut to ``--layers`` blocks, with random weights and a small tokenizer trained on
the texts; the rows are abstracts of Inspec. Times are those of ``--steps`` steps of ``train()`` and
are compared by the token learnt from; ``padding`` is the share that is added to these tokens. The
first way is frtune's default.
"""

from __future__ import annotations

import functools
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from _compare import Timer, apart, compare, parser, report, shared_data, warm_up

BATCH = 8
SOURCE = 512
WAYS = {
    "like length, padded": ("group_by_length", False),
    "like length, packed": ("group_by_length", True),
    "at random, padded": ("random", False),
    "at random, packed": ("random", True),
}


def rows_of(count: int) -> tuple[list[str], list[list[str]]]:
    """Abstracts, after a seeded shuffle, and a keyphrase for each."""
    lines = (shared_data() / "en_inspec" / "validation.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    random.Random(1).shuffle(rows)
    texts = [row["text"] if "text" in row else row["abstract"] for row in rows[:count]]
    return texts, [["nothing"]] * len(texts)


def make_model(layers: int, folder: Path) -> None:
    """Save the shape with random weights and a tokenizer of few tokens."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from frtune import tiny_checkpoint

    tiny_checkpoint("polyglot", rows_of(400)[0], folder)
    config = AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
                   "num_hidden_layers": layers, "max_position_embeddings": 1024})  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def train(
    timer: Timer, folder: Path, count: int, steps: int, sampling: str, packing: bool
) -> dict[str, Any]:
    """Train for some steps of an epoch."""
    import torch
    from datasets import Dataset

    from frtune import KeyphraseGeneration, build_model, training_arguments

    task = KeyphraseGeneration(max_source_tokens=SOURCE, train_on_prompt=True)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=str(folder), proof=False)
    texts, phrases = rows_of(count)
    rows = Dataset.from_dict({"text": texts, "keyphrases": phrases})
    with tempfile.TemporaryDirectory() as name:
        args = training_arguments(
            task, name, per_device_train_batch_size=BATCH, max_steps=steps, eval_strategy="no",
            save_strategy="no", load_best_model_at_end=False, disable_tqdm=True,
            train_sampling_strategy=sampling,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows, packing=packing)
        lengths, step = trainer.train_dataset["length"], trainer.training_step
        given, tokens = [], []

        def noting(model: Any, inputs: Any, items: Any = None) -> Any:
            if not isinstance(inputs, list):  # each cut of a list comes here by itself
                given.append(inputs["input_ids"].numel())
                tokens.extend(lengths[row] for row in inputs["row"].tolist())
            return step(model, inputs, items)

        trainer.training_step = noting
        with timer:
            result = trainer.train()
    # compare() divides the times by what is called rows
    return {"rows": sum(tokens), "padding": round(sum(given) / sum(tokens) - 1, 4),
            "loss": round(result.training_loss, 3)}  # fmt: skip


def main() -> None:
    """Measure the row of the table."""
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=500)
    made.add_argument("--steps", type=int, default=4)
    made.add_argument("--layers", type=int, default=2)
    args = made.parse_args()
    if args.quick:
        args.rounds, args.rows, args.layers, args.steps = 1, 8, 1, 1
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        apart(make_model, args.layers, folder)
        ways = {
            way: functools.partial(
                train,
                folder=folder,
                count=args.rows,
                steps=args.steps,
                sampling=sampling,
                packing=packing,
            )
            for way, (sampling, packing) in WAYS.items()
        }
        # no goal: packing is off, because it wins nothing over batches of like length
        found = compare(
            "causal training, padded and packed", ways, goals=dict.fromkeys(list(WAYS)[1:], 1.0),
            args=args, rows=args.rows, steps=args.steps, layers=args.layers, batch=BATCH,
        )  # fmt: skip
    report(__file__, [found], args)


if __name__ == "__main__":
    main()
