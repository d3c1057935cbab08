"""Loss and accuracy of a classifier, computed alike for all ways."""

from __future__ import annotations

from collections.abc import Sequence

ROWS = 32  # at once, of like length


def judged(
    model, tokenizer, inputs: Sequence[tuple[str, ...]], labels: Sequence[int], longest: int
) -> dict[str, float]:
    """Mean loss and accuracy in fp32.

    Args:
        model: A classifier with logits (rows, classes).
        tokenizer: Its tokenizer.
        inputs: Of each row its text, or its two sentences.
        labels: Of each row its class.
        longest: Tokens that the model reads.
    """
    import torch

    model.eval()
    loss = right = 0.0
    order = sorted(range(len(labels)), key=lambda i: sum(map(len, inputs[i])))
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        columns = [list(column) for column in zip(*(inputs[i] for i in rows), strict=True)]
        batch = tokenizer(
            *columns, padding=True, truncation=True, max_length=longest, return_tensors="pt"
        )
        wanted = torch.tensor([labels[i] for i in rows])
        with torch.no_grad():
            logits = model(**batch.to(model.device)).logits.float().cpu()
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        right += (logits.argmax(-1) == wanted).sum().item()
    return {"loss": round(loss / len(labels), 5), "accuracy": round(right / len(labels), 5)}
