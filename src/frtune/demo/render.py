"""Answers as HTML; everything that comes from a text or a model is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from frtune.web.highlight import Mark, escape, find_phrases, marked_text

Say = Callable[..., str]

_MOST_CLASSES = 20


def answer_html(task_name: str, answer: Mapping[str, Any], say: Say) -> str:
    """Return an answer of ``Predictor.predict`` as HTML.

    Args:
        task_name: Name of the task.
        answer: What the predictor said of one text.
        say: Turns a key of ``frtune.demo.translations`` into words.
    """
    if task_name == "keywords":
        return _keywords(answer["text"], answer["keywords"], say)
    if task_name == "keyphrases":
        return _keyphrases(answer["text"], answer["keyphrases"], say)
    if task_name == "classification":
        return _classes(answer["label"], answer["scores"], say)
    return _similarity(answer["similarity"], answer.get("label"), say)


def error_html(message: str) -> str:
    """A message of failure.

    Example:
        >>> error_html("no <model>")
        '<div class="frtune-error" role="alert">no &lt;model&gt;</div>'
    """
    return f'<div class="frtune-error" role="alert">{escape(message)}</div>'


def _keywords(text: str, found: Sequence[Mapping[str, Any]], say: Say) -> str:
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


def _keyphrases(text: str, phrases: Sequence[str], say: Say) -> str:
    if not phrases:
        return _note(say("no_keyphrases")) + marked_text(text, [])
    spans, present = find_phrases(text, phrases)
    parts = [marked_text(text, [Mark(*span) for span in spans])]
    for key, wanted, style in (("present", True, ""), ("absent", False, " frtune-absent")):
        chips = "".join(
            f'<span class="frtune-chip{style}">{escape(phrase)}</span>'
            for phrase, here in zip(phrases, present, strict=True)
            if here is wanted
        )
        if chips:
            parts.append(f"<p><b>{escape(say(key))}</b><br>{chips}</p>")
    return "".join(parts)


def _classes(label: str, scores: Mapping[str, float], say: Say) -> str:
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{score:.1%}</td>'
        f'<td style="width:50%"><div class="frtune-bar" style="width:{100 * score:.1f}%">'
        "</div></td></tr>"
        for name, score in ranked[:_MOST_CLASSES]
    )
    rest = _note(say("more_classes", count=len(ranked) - _MOST_CLASSES))
    return (
        f'<p><b>{escape(label)}</b></p><table class="frtune-table">{rows}</table>'
        f"{rest if len(ranked) > _MOST_CLASSES else ''}"
    )


def _similarity(value: float, label: str | None, say: Say) -> str:
    named = "" if label is None else f"<p>{escape(say('label'))}: <b>{escape(label)}</b></p>"
    width = 100 * min(1.0, max(0.0, value))
    return (
        f"<p>{escape(say('similarity'))}: <b>{value:.3f}</b></p>"
        f'<div class="frtune-bar" style="width:{width:.1f}%"></div>{named}'
    )


def _note(text: str) -> str:
    return f'<p class="frtune-note">{escape(text)}</p>'
