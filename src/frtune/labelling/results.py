"""From answers to rows: the label of each, the rejected ones, the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset

from frtune.labelling.quality import agreement, answer_quality, keyphrase_quality, label_quality
from frtune.labelling.request_loop import distinct_texts
from frtune.labelling.rows import texts_of
from frtune.labelling.steps import Outcome, Request, Steps
from frtune.labelling.store import Answer

_SHOWN = 300  # characters of a bad answer
_SAID_NOTHING = {
    "empty": "(the answer is empty)",
    "cut": "(the limit of the answer came before it, as where a model reasons)",
    "refusal": "(the answer was filtered)",
}


@dataclass
class Verdict:
    """What became of a text: a value, or the reason why there is none."""

    value: Any = None
    reason: str = ""
    detail: str = ""
    agreement: float | None = None
    outcomes: list[Outcome] = field(default_factory=list)


class Results:
    """The verdict on every text, from the answers that are there.

    Attributes:
        rows: The rows that were to be labelled.
        labelled: Rows with a value.
        without_phrases: Rows whose list of keyphrases is empty.
        rejected: Rows without one, by reason.
    """

    def __init__(
        self,
        rows: Dataset,
        steps: Steps,
        *,
        answers: Mapping[str, Answer],
        refused: Mapping[str, str],
    ):
        self.rows, self._steps = rows, steps
        self._verdicts: dict[str, Verdict] = {}
        for text, number in distinct_texts(rows, steps):
            key = steps.request(text, 1).key
            verdict = self._verdicts.setdefault(key, Verdict())
            _judge(verdict, steps.next(text, number, answers), refused)
        self._summary = self._agree()
        where = f"column {steps.job.text_column}"
        self._own = [
            Verdict(reason=reason, detail=where)
            if reason
            else self._verdicts[steps.request(text, 1).key]
            for text, reason in texts_of(rows, steps.job)
        ]
        self.labelled = sum(verdict.value is not None for verdict in self._own)
        self.without_phrases = sum(verdict.value == [] for verdict in self._own)
        self.rejected = Counter(v.reason for v in self._own if v.value is None)

    def _agree(self) -> dict[str, Any]:
        """Write the agreement of two passes into the verdicts and return its summary."""
        pairs = []
        for verdict in self._verdicts.values():
            values = [outcome.value for outcome in verdict.outcomes]
            if len(values) == 2 and None not in values:
                pairs.append((verdict, tuple(values)))
        summary, each = agreement([values for _, values in pairs], self._steps.job.task)
        for (verdict, _), share in zip(pairs, each, strict=True):
            verdict.agreement = share
        return summary

    def labelled_rows(self) -> Iterator[dict[str, Any]]:
        """The rows with a value, each with its columns and the new one."""
        job = self._steps.job
        for row, verdict in zip(self.rows, self._own, strict=True):
            if verdict.value is not None:
                shown = {"agreement": verdict.agreement} if job.passes == 2 else {}
                yield {**dict(row), job.column: verdict.value, **shown}  # type: ignore[call-overload]

    def rejected_rows(self) -> Iterator[dict[str, Any]]:
        """The other rows: ``reason``, ``detail``, ``row`` (from 1) and ``original``."""
        for number, (row, verdict) in enumerate(zip(self.rows, self._own, strict=True), start=1):
            if verdict.value is None:
                why = {"reason": verdict.reason, "detail": verdict.detail}
                yield {**why, "row": number, "original": row}

    def report(self) -> dict[str, Any]:
        """Counts of rows, answers, phrases or labels, and agreement."""
        job = self._steps.job
        verdicts = list(self._verdicts.values())
        outcomes = [outcome for verdict in verdicts for outcome in verdict.outcomes]
        first = [v.outcomes[0] for v in verdicts if v.outcomes and v.outcomes[0].value is not None]
        asked = len(self._own) - self.rejected["blank_text"] - self.rejected["not_text"]
        report: dict[str, Any] = {
            "rows": {
                "read": len(self._own),
                "labelled": self.labelled,
                "rejected": len(self._own) - self.labelled,
                "repeated_texts": asked - len(verdicts),
            },
            "rejected": dict(self.rejected.most_common()),
            "answers": answer_quality(outcomes),
        }
        if job.task == "keyphrases":
            report["keyphrases"] = keyphrase_quality(first)
        else:
            report["labels"] = label_quality(first, job.labels or [])
        if job.passes == 2:
            report["agreement"] = self._summary
        return report


def _judge(verdict: Verdict, step: Request | Outcome, refused: Mapping[str, str]) -> None:
    """Take in what became of a text in one pass; the first pass with a value gives it."""
    if isinstance(step, Outcome):
        verdict.outcomes.append(step)
        if verdict.value is None and step.value is not None:
            verdict.value = step.value
        elif verdict.value is None:
            verdict.reason = step.problems[-1]
            verdict.detail = step.answer[:_SHOWN].strip() or _SAID_NOTHING.get(verdict.reason, "")
    elif verdict.value is None:
        verdict.reason = "refused_by_endpoint" if step.key in refused else "not_asked"
        verdict.detail = refused.get(step.key, "")
