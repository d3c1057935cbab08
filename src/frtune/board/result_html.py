"""Scores with intervals, the worst rows and the report of finished runs, as HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from frtune.board import parts
from frtune.board.folder import BoardFolder
from frtune.demo.session import note_html, warning_html
from frtune.run.examples import worst_and_best
from frtune.run.next_steps import read_next_steps
from frtune.runs.groups import comparison_key, differing, shown
from frtune.runs.record import Run
from frtune.tasks.answer_html import Say
from frtune.tasks.config_file import load_task
from frtune.tasks.highlight import escape

_MOST_BYTES = 20_000_000  # of a report that is shown here


def scores_html(runs: Sequence[Run], say: Say) -> str:
    """A line for each run, and what their intervals say of several."""
    first = runs[0]
    heads = [say("run_shown"), say("score_column", score=first.score_name or ""), say("interval")]
    names = differing(runs) if len(runs) > 1 else []
    lines = []
    for run in runs:
        known = run.low is not None and run.high is not None
        interval = f"{run.low:.3f} – {run.high:.3f}" if known else ""
        score = "" if run.score is None else f"{run.score:.4f}"
        settings = ", ".join(f"{name}={shown(run.settings.get(name))}" for name in names)
        start = "" if len({each.checkpoint for each in runs}) == 1 else f"{run.checkpoint}, "
        lines.append([run.name, score, interval, *([start + settings] if len(runs) > 1 else [])])
    table = parts.table([*heads, *([say("differs")] if len(runs) > 1 else [])], lines)
    return table + (_verdict(runs, say) if len(runs) > 1 else "")


def _verdict(runs: Sequence[Run], say: Say) -> str:
    if len(set(map(comparison_key, runs))) > 1:
        return warning_html(say("not_comparable"))
    intervals = {
        run.name: (run.low, run.high) if run.larger_is_better else (-run.high, -run.low)
        for run in runs
        if run.low is not None and run.high is not None
    }
    if len(intervals) < len(runs):
        return ""
    better = _apart(intervals)
    return note_html(say("overlap") if better is None else say("apart", name=better))


def _apart(runs: Mapping[str, tuple[float, float]]) -> str | None:
    """The run whose interval lies above all others; ``None`` where intervals overlap.

    Example:
        >>> _apart({"a": (0.1, 0.3), "b": (0.4, 0.5)}), _apart({"a": (0.1, 0.45), "b": (0.4, 0.5)})
        ('b', None)
    """
    best = max(runs, key=lambda name: runs[name][0])
    others = [high for name, (_, high) in runs.items() if name != best]
    return best if all(high < runs[best][0] for high in others) else None


def answers_html(folder: BoardFolder, run: Run, say: Say) -> str:
    """The test rows that a run answered worst."""
    directory = folder.inside(run.name)
    if not (directory / "predictions.jsonl").is_file():
        return ""
    with (directory / "predictions.jsonl").open(encoding="utf-8") as file:
        answers = [json.loads(line) for line in file]
    _, worst, _ = worst_and_best(load_task(directory), answers)
    lines = [
        [" ↔ ".join(row["texts"]), _phrases(row["true"]), _phrases(row["said"])] for row in worst
    ]
    heads = [say("text").partition(" (")[0], say("truth_head"), say("answer_head")]
    return parts.head(say("worst")) + parts.table(heads, lines) if lines else ""


def advice_html(folder: BoardFolder, run: Run) -> str:
    """What the run itself gives evidence for, in frtune's own words."""
    try:
        steps = read_next_steps(folder.inside(run.name))
    except (OSError, ValueError, TypeError):  # damaged: the run's scores stand all the same
        return ""
    lines = (f"<li>{escape(step.because)} <b>{escape(step.do)}</b></li>" for step in steps)
    return f"<ul>{''.join(lines)}</ul>" if steps else ""


def _phrases(pieces: Sequence[dict[str, str]]) -> str:
    return "; ".join(piece["text"] for piece in pieces)


def report_html(folder: BoardFolder, run: Run, say: Say) -> str:
    """The run's own page in a frame, in which no script of it reaches this one."""
    path = folder.inside(f"{run.name}/report.html")
    title = parts.head(say("report", file=f"{run.name}/report.html"))
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return title + note_html(say("no_report"))
    page = escape(path.read_text(encoding="utf-8"))
    return (
        f'{title}<iframe class="frtune-report" sandbox="" title="report" srcdoc="{page}"></iframe>'
    )
