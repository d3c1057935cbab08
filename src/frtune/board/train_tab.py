"""The part of the board that shows runs while they learn, stops and resumes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frtune.board import parts
from frtune.board.progress import RunView, all_runs, curves, resume, stop, view
from frtune.board.session import BoardSession, with_request
from frtune.demo.session import error_html, note_html
from frtune.environment.disk import size_text
from frtune.plotting import has_matplotlib
from frtune.tasks.answer_html import Say

_SECONDS = 2.0  # between two looks at what runs write
_LISTED = 30  # runs of the table


class TrainTab:
    """The components of the tab, and what happens when one is clicked.

    Args:
        gradio: The library.
        session: The folder and its jobs.
    """

    def __init__(self, gradio: Any, session: BoardSession):
        self.gradio, self.session = gradio, session
        label, runs = session.language.label, all_runs(session.folder, session.jobs)
        self.runs = gradio.HTML(elem_id="runs")
        self.run = gradio.Dropdown(runs, value=runs[0] if runs else None, label=label("run_shown"),
                                   elem_id="run_shown")  # fmt: skip
        with gradio.Row():
            self.stop = gradio.Button(label("stop_run"), elem_id="stop_run")
            self.resume = gradio.Button(label("resume_run"), elem_id="resume_run")
        self.message = gradio.HTML(elem_id="train_message", elem_classes="frtune-live")
        self.state = gradio.HTML(elem_id="run_state")
        self.curves = gradio.HTML(elem_id="run_curves")
        self.log = gradio.HTML(elem_id="run_log")
        self.seen = gradio.State([])
        self.timer = gradio.Timer(_SECONDS)

    def connect(self, page: Any) -> None:
        """Have the components act."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        with_request(self.gradio, self.look, self.end, self.go_on)
        given = [self.run, self.seen]
        shown = [self.runs, self.state, self.curves, self.log, self.stop, self.resume, self.seen,
                 self.run]  # fmt: skip
        self.timer.tick(self.look, given, shown, **quiet)
        page.load(self.look, given, shown, **quiet)
        self.run.change(self.look, given, shown, **quiet)
        self.stop.click(self.end, [self.run], [self.message], **quiet)
        self.resume.click(self.go_on, [self.run], [self.message], **quiet)

    def look(self, name: str | None, seen: list[Any], request: Any) -> list[Any]:
        """What the runs have written by now; what has not changed stays as it is."""
        session, skip = self.session, self.gradio.skip()
        say = session.say(request)
        session.jobs.keep_going()
        names = all_runs(session.folder, session.jobs)
        name = name if name in names else (names[0] if names else None)
        views = {each: view(session.folder, session.jobs, each) for each in names[:_LISTED]}
        if name is not None and name not in views:
            views[name] = view(session.folder, session.jobs, name)
        found = views.get(name or "")
        now = [names, name, found and [found.state, len(found.history), found.step]]
        if seen[:1] == [names] and seen[1:2] == [name]:
            menu = skip
        else:
            menu = self.gradio.Dropdown(choices=names, value=name)
        listed = session.scarce(say) + _runs_html(list(views.values()), say)
        if found is None:
            hidden = self.gradio.Button(visible=False)
            return [note_html(say("no_runs")), "", "", "", hidden, hidden, now, menu]
        drawn = skip if seen == now else curves_html({found.name: found}, say)
        buttons = [
            self.gradio.Button(visible=found.active),
            self.gradio.Button(visible=found.state in ("stopped", "failed")),
        ]
        return [listed, _state_html(found, say), drawn, self._log(found, say), *buttons, now, menu]

    def _log(self, found: RunView, say: Say) -> str:
        if found.job is None:
            return note_html(say("of_terminal"))
        lines = self.session.jobs.log(found.job.name, 15)
        return parts.command(say("command"), found.job.command) + parts.log(say("log"), lines)

    def end(self, name: str | None, request: Any) -> str:
        """Stop the run that is shown."""
        return self._act(stop, name, "asked_to_stop", request)

    def go_on(self, name: str | None, request: Any) -> str:
        """Resume the run that is shown."""
        return self._act(resume, name, None, request)

    def _act(self, act: Callable[..., Any], name: str | None, key: str | None, request: Any) -> str:
        say = self.session.say(request)

        def html() -> str:
            act(self.session.folder, self.session.jobs, name or "")
            return note_html(say(key)) if key else ""

        return self.session.attempt(html, say)


def _state_of(found: RunView, say: Say) -> str:
    return say("failed_run" if found.state == "failed" else found.state)


def _runs_html(views: list[RunView], say: Say) -> str:
    rows = []
    for each in views:
        score = each.run and each.run.score
        steps = "" if each.step is None else f"{each.step}/{each.steps or '?'}"
        named = f"{each.run.score_name} {score:.3f}" if each.run and score is not None else ""
        rows.append([each.name, _state_of(each, say), steps, named])
    return parts.table([say("run_shown"), say("state"), say("step"), ""], rows)


def _state_html(found: RunView, say: Say) -> str:
    """State, how far, how fast, how long still, and memory; why it failed."""
    facts = [_state_of(found, say)]
    if found.step is not None and found.steps and found.state != "finished":
        facts.append(say("step_of", step=found.step, steps=found.steps))
    if found.rows_per_second:
        facts.append(say("rows_second", rate=f"{found.rows_per_second:.1f}"))
    if found.seconds_left is not None:
        facts.append(say("left", time=clock(found.seconds_left)))
    if found.memory_bytes and found.state == "running":
        facts.append(say("memory", size=size_text(found.memory_bytes)))
    shown = f"<p><b>{parts.cell(found.name)}</b> · {parts.cell(' · '.join(facts))}</p>"
    if found.step is not None and found.steps and found.state != "finished":
        shown += parts.bar(found.step / found.steps)
    return shown + (error_html(found.line) if found.line and found.state == "failed" else "")


def curves_html(views: dict[str, RunView], say: Say) -> str:
    """Losses and scores of runs, each kind on one plot."""
    if not has_matplotlib():
        return note_html(say("no_plots"))
    histories = {name: found.history for name, found in views.items()}
    score = next((_score(found) for found in views.values()), None)
    figures = []
    for names, title in ((["loss", "eval_loss"], "loss"), ([score], "validation_score")):
        drawn = curves(histories, [name for name in names if name])
        if drawn is not None:
            figures.append(parts.figure(drawn, say(title)))
    if not figures:
        return note_html(say("no_curve"))
    return f'<div class="frtune-grid">{"".join(figures)}</div>'


def _score(found: RunView) -> str | None:
    """The score by which the best checkpoint is chosen."""
    return str(found.run.settings.get("metric_for_best_model")) if found.run else None


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as a clock has them.

    Example:
        >>> clock(59.6), clock(3725)
        ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
