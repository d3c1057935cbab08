"""Answers of ``predict`` as HTML; everything that comes from a text or a model is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from frtune.tasks.highlight import Mark, escape, find_phrases, marked_text
from frtune.tasks.shown_rows import plain_text

Say = Callable[..., str]

_MOST_CLASSES = 20


def keywords_html(text: str, found: Sequence[Mapping[str, Any]], say: Say) -> str:
    """A text with its keywords marked, and a table of them."""
    marks = [Mark(item["start"], item["end"], item.get("score")) for item in found]
    if not marks:
        return _note(say("no_keywords")) + marked_text(text, [])
    best: dict[str, tuple[float, int]] = {}
    for item in found:
        score, count = best.get(item["text"], (0.0, 0))
        best[item["text"]] = max(score, item.get("score", 0.0)), count + 1
    rows = "".join(
        f'<tr><td>{escape(word)}</td><td class="number">{score:.2f}</td>'
        f'<td class="number">{count}</td></tr>'
        for word, (score, count) in sorted(best.items(), key=lambda item: -item[1][0])
    )
    heads = f"<th>{escape(say('keyword'))}</th>" + "".join(
        f'<th class="number">{escape(say(key))}</th>' for key in ("score", "times")
    )
    return f'{marked_text(text, marks)}<table class="frtune-table"><tr>{heads}</tr>{rows}</table>'


def keyphrases_html(
    text: str, phrases: Sequence[str], say: Say, scores: Sequence[float] | None = None
) -> str:
    """A text with its phrases marked, then those in it, then the others; maybe with scores."""
    if not phrases:
        return _note(say("no_keyphrases")) + marked_text(text, [])
    spans, present = find_phrases(text, phrases)
    shown = [""] * len(phrases) if scores is None else [f" {score:.0%}" for score in scores]
    parts = [marked_text(text, [Mark(*span) for span in spans])]
    for key, wanted, style in (("present", True, ""), ("absent", False, " frtune-absent")):
        chips = "".join(
            f'<span class="frtune-chip{style}">{escape(phrase)}{score}</span>'
            for phrase, here, score in zip(phrases, present, shown, strict=True)
            if here is wanted
        )
        if chips:
            parts.append(f"<p><b>{escape(say(key))}</b><br>{chips}</p>")
    return "".join(parts)


def classes_html(label: str, scores: Mapping[str, float], say: Say) -> str:
    """A label, and bars of the likeliest ones."""
    return f"<p><b>{escape(label)}</b></p>{_bars(scores, say)}"


def label_set_html(labels: Sequence[str], scores: Mapping[str, float], say: Say) -> str:
    """The labels that are given, and bars of the likeliest ones."""
    chips = "".join(f'<span class="frtune-chip">{escape(label)}</span>' for label in labels)
    return f"<p>{chips or escape(say('no_label'))}</p>{_bars(scores, say)}"


def _bars(scores: Mapping[str, float], say: Say) -> str:
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{score:.1%}</td>'
        f'<td class="share"><div class="frtune-bar" style="width:{100 * score:.1f}%">'
        "</div></td></tr>"
        for name, score in ranked[:_MOST_CLASSES]
    )
    rest = _note(say("more_classes", count=len(ranked) - _MOST_CLASSES))
    return (
        f'<table class="frtune-table">{rows}</table>{rest if len(ranked) > _MOST_CLASSES else ""}'
    )


def similarity_html(value: float, label: str | None, meaning: str, say: Say) -> str:
    """A similarity as number and bar, what the number means, and the label that follows."""
    named = "" if label is None else f"<p>{escape(say('label'))} <b>{escape(label)}</b></p>"
    width = 100 * min(1.0, max(0.0, value))
    return (
        f"<p>{escape(say('similarity'))} <b>{value:.3f}</b></p>"
        f'<div class="frtune-bar" style="width:{width:.1f}%"></div>{named}'
        f"{_note(meaning)}"
    )


def fields_html(answer: Mapping[str, Any]) -> str:
    """Any answer, a line a value.

    Example:
        >>> fields_html({"stars": 3, "why": "<b>"})
        '<p>stars: <b>3</b></p><p>why: <b>&lt;b&gt;</b></p>'
    """
    lines = ((escape(name), escape(plain_text(value))) for name, value in answer.items())
    return "".join(f"<p>{name}: <b>{value}</b></p>" for name, value in lines)


def _note(text: str) -> str:
    return f'<p class="frtune-note">{escape(text)}</p>'
