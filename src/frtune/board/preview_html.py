"""What would become of the rows, as HTML: reasons, splits, classes, leakage, lengths."""

from __future__ import annotations

from typing import Any

from frtune.board import parts
from frtune.board.preview import Preview
from frtune.board.proposal import Choices
from frtune.demo.session import note_html, warning_html
from frtune.tasks.answer_html import Say

_MOST_LABELS = 12  # that are named


def preview_html(found: Preview, choices: Choices, say: Say) -> str:
    """The audit of a preview; notes that training would trip over are warnings."""
    audit = found.audit
    rows = {name: f"{audit['rows'][name]:,}" for name in ("read", "kept", "rejected")}
    shown = [
        parts.head(say("what_becomes")),
        f"<p><b>{parts.cell(say('rows_kept', **rows))}</b></p>",
    ]
    if audit["rejected"]:
        shown.append(parts.table([say("reason"), say("rows")], audit["rejected"].items()))
        cells = ([each["row"], each["reason"], each["detail"]] for each in found.rejected)
        shown.append(parts.table([say("row"), say("reason"), say("detail")], cells))
    shown.append(_splits(audit["splits"], say))
    leaks = [
        say("leak", pair=name.replace("/", " / "), same=pair["same_text"],
            near=pair["near_duplicates"])
        for name, pair in audit["leakage"].items() if pair["same_text"] or pair["near_duplicates"]
    ]  # fmt: skip
    shown += map(warning_html, leaks)
    shown.append("" if leaks else note_html(say("no_leak")))
    shown.append(note_html(say("limit", tokens=choices.made().max_source_tokens)))
    shown += [warning_html(note) for note in audit["notes"] if "cut from train" not in note]
    return "".join(shown)


def _splits(splits: dict[str, Any], say: Say) -> str:
    first = next(iter(splits.values()))
    phrases = next((name for name in ("keyphrases", "keywords") if name in first), None)
    heads = [say("split"), say("rows"), say("words_95")]
    heads += [say("phrases_a_row"), say("in_text")] if phrases else []
    lines = []
    for name, split in splits.items():
        cells: list[Any] = [name, split["rows"], round(split["words"]["p95"])]
        if phrases:
            share = split["present_share"]
            cells += [round(split[phrases]["mean"], 1), "" if share is None else f"{share:.0%}"]
        lines.append(cells)
    classes = "".join(
        note_html(say("classes", split=name, labels=_labels(split["labels"])))
        for name, split in splits.items() if "labels" in split
    )  # fmt: skip
    return parts.table(heads, lines) + classes


def _labels(counts: dict[str, int]) -> str:
    """The most frequent labels with their rows, and how many more there are."""
    shown = [f"{label} {count}" for label, count in counts.items()][:_MOST_LABELS]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f", … (+{more})" if more else "")
