"""The part of the board that shows finished runs: scores, rows, report, answers, next steps."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from frtune.board import parts
from frtune.board.label_part import LabelPart, label_words
from frtune.board.next_steps import CLICKS, QUEUED, SERVED, Steps, free_output, known
from frtune.board.progress import all_runs, view
from frtune.board.result_html import advice_html, answers_html, report_html, scores_html
from frtune.board.session import BoardSession, with_request
from frtune.board.train_tab import curves_html
from frtune.demo.models import PageModel, open_models
from frtune.demo.session import DemoSession, note_html
from frtune.errors import InputError
from frtune.runs.record import Run
from frtune.tasks.config_file import task_class

_ADDRESS = re.compile(r"https?://(?:127\.0\.0\.1|localhost)[:\d]*/?")
_POLL_SECONDS = 3.0


class ResultTab:
    """The components of the tab, and what happens when one is clicked.

    Args:
        gradio: The library.
        session: The folder and its jobs.
    """

    def __init__(self, gradio: Any, session: BoardSession):
        self.gradio, self.session = gradio, session
        self._opened: tuple[Any, dict[str, PageModel]] = (None, {})  # the last model that answered
        self._lock = threading.Lock()
        label = session.language.label
        self.runs = gradio.Dropdown([], value=[], multiselect=True, label=label("results_of"),
                                    elem_id="results")  # fmt: skip
        self.scores = gradio.HTML(elem_id="result_scores")
        self.curves = gradio.HTML(elem_id="result_curves")
        self.heading = gradio.HTML(elem_id="try_heading")
        self.title = gradio.Textbox(label=label("title"), visible=False, elem_id="title")
        self.text = gradio.Textbox(label=label("text"), lines=4, max_lines=20, elem_id="text")
        self.pair = gradio.Textbox(label=label("pair"), lines=2, max_lines=20, visible=False,
                                   elem_id="pair")  # fmt: skip
        self.answer_button = gradio.Button(label("run"), variant="primary", elem_id="run")
        self.answer = gradio.HTML(elem_id="answer")
        self.next_heading = gradio.HTML(elem_id="next_heading")
        with gradio.Row():
            self.steps = {
                step: gradio.Button(label(f"do_{step}"), elem_id=f"do_{step}", size="sm",
                                    min_width=150)
                for step in known(CLICKS, session.commands)
            }  # fmt: skip
        self.labelling = LabelPart(gradio, session)
        self.step_state = gradio.HTML(elem_id="step_state", elem_classes="frtune-live")
        self.stop_step = gradio.Button(label("stop_step"), visible=False, elem_id="stop_step",
                                       size="sm")  # fmt: skip
        self.worst = gradio.HTML(elem_id="worst")
        self.report = gradio.HTML(elem_id="report")
        self.job = gradio.State("")
        self.timer = gradio.Timer(_POLL_SECONDS, active=False)

    def connect(self, tab: Any) -> None:
        """Have the components act; ``tab`` is the one that they stand in."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        with_request(self.gradio, self.open, self.show, self.try_text, self.look, self.halt)
        tab.select(self.open, [self.runs], [self.runs, *self.shown], **quiet)
        self.runs.input(self.show, [self.runs], self.shown, **quiet)
        texts = [self.title, self.text, self.pair]
        self.answer_button.click(self.try_text, [self.runs, *texts], [self.answer],
                                 api_visibility="private", concurrency_limit=1)  # fmt: skip
        followed = [self.step_state, self.stop_step, self.job, self.timer]
        for step, button in self.steps.items():
            button.click(self._starter(step), [self.runs], followed, **quiet)
        for button, dry in ((self.labelling.try_out, True), (self.labelling.start, False)):
            button.click(self._labeller(dry), [self.runs, *self.labelling.given], followed, **quiet)
        self.timer.tick(self.look, [self.job], followed, **quiet)
        self.stop_step.click(self.halt, [self.job], followed, **quiet)

    @property
    def shown(self) -> list[Any]:
        """The components that ``show`` sets."""
        return [self.scores, self.curves, self.heading, self.title, self.pair, self.answer,
                self.next_heading, *self.steps.values(), *self.labelling.shown, self.worst,
                self.report]  # fmt: skip

    def open(self, names: list[str], request: Any) -> list[Any]:
        """Offer the runs that have finished by now, and show the chosen ones, else the newest."""
        finished = self._finished()
        names = [name for name in names or [] if name in finished] or finished[:1]
        menu = self.gradio.Dropdown(choices=finished, value=names)
        return [menu, *self.show(names, request)]

    def _finished(self) -> list[str]:
        folder, jobs = self.session.folder, self.session.jobs
        names = all_runs(folder, jobs)
        return [name for name in names if view(folder, jobs, name).state == "finished"]

    def show(self, names: list[str], request: Any) -> list[Any]:
        """Settings of ``shown`` for the runs that are chosen."""
        say, gradio = self.session.say(request), self.gradio
        folder, jobs = self.session.folder, self.session.jobs
        views = {name: view(folder, jobs, name) for name in names or []}
        runs = [found.run for found in views.values() if found.run]
        if not runs:
            hidden = [gradio.Button(visible=False) for _ in self.steps]
            return [note_html(say("no_finished")), "", "", gradio.Textbox(visible=False),
                    gradio.Textbox(visible=False), "", "", *hidden, *self.labelling.show(None),
                    "", ""]  # fmt: skip
        first = runs[0]
        of_phrases, of_pairs = _reads(first.task)
        fits = {"rate": of_phrases, "compare": len(runs) > 1}
        title = first.settings.get("title_column") is not None
        return [
            scores_html(runs, say), curves_html(views, say),
            parts.head(say("try_it", run=first.name)), gradio.Textbox(visible=title),
            gradio.Textbox(visible=of_pairs), "",
            parts.head(say("next_steps")) + advice_html(folder, first)
            + note_html(say("next_help")),
            *(gradio.Button(visible=fits.get(step, True)) for step in self.steps),
            *self.labelling.show(first),
            self.session.attempt(lambda: answers_html(folder, first, say), say),
            self.session.attempt(lambda: report_html(folder, first, say), say),
        ]  # fmt: skip

    def _words(self, runs: list[Run]) -> Steps:
        def exists(name: str) -> bool:
            return self.session.folder.inside(name).exists()

        return Steps(runs, lambda step: free_output(runs[0].name, step, exists))

    def try_text(self, names: list[str], title: str, text: str, pair: str, request: Any) -> str:
        """The answer of the first chosen run to a text, as HTML."""
        say = self.session.say(request)

        def html() -> str:
            if not names:
                raise InputError("model: choose a finished run first.")
            models = self._model(names[0])
            demo = DemoSession(models, self.session.language)
            return demo.html(next(iter(models)), (text or "", pair or "", title or ""), request)

        return self.session.attempt(html, say)

    def _model(self, name: str) -> dict[str, PageModel]:
        """The opened model of a run; the one before is let go."""
        directory = self.session.folder.inside(name)
        key = name, (directory / "metrics.json").stat().st_mtime_ns
        with self._lock:
            if self._opened[0] != key:
                self._opened = (None, {})
                self._opened = (key, open_models([directory]))
            return self._opened[1]

    def _starter(self, step: str) -> Any:
        def start(names: list[str], request: Any) -> list[Any]:
            return self._start(step, names, lambda runs: self._words(runs).words(step), request)

        with_request(self.gradio, start)
        return start

    def _labeller(self, dry: bool) -> Any:
        def start(request: Any, names: list[str], *given: str) -> list[Any]:
            words = partial(label_words, self.session.folder, given=given, dry=dry)
            return self._start("label", names, lambda runs: words(runs[0]), request)

        with_request(self.gradio, start)
        return start

    def _start(
        self, step: str, names: list[str], words: Callable[[list[Run]], list[str]], request: Any
    ) -> list[Any]:
        """Start the command of a step, and follow it."""
        say, gradio = self.session.say(request), self.gradio
        try:
            folder, jobs = self.session.folder, self.session.jobs
            runs = [run for name in names or [] if (run := view(folder, jobs, name).run)]
            if not runs:
                raise InputError("runs: choose a finished run first.")
            name = folder.free_name("board", f"{step}-{names[0].rpartition('/')[2]}")
            jobs.add(name, words(runs), queued=step in QUEUED)
        except Exception as error:
            told = self.session.told(error, say)
            return [told, gradio.Button(visible=False), "", gradio.Timer(active=False)]
        return self.look(name, request)

    def look(self, name: str, request: Any) -> list[Any]:
        """How a step goes: its command, its address, the end of its log."""
        say, gradio, jobs = self.session.say(request), self.gradio, self.session.jobs
        job = jobs.find(name) if name else None
        if job is None:
            return ["", gradio.Button(visible=False), "", gradio.Timer(active=False)]
        text, shown = jobs.log(name, 25), parts.command(say("command"), job.command)
        going = job.state in ("queued", "running")
        address = _ADDRESS.search(text) if job.words[0] in SERVED and going else None
        if address:
            shown += _link(say("opened_at", address=address[0]), address[0])
        elif job.state == "queued":
            shown += note_html(say("queued"))
        elif not going and job.code == 0:
            shown += parts.done(say("step_ended", command=job.command))
        elif not going:
            line = jobs.error(name) or f"exit code {job.code}"
            shown += self.session.told(InputError(line), say)
        shown += parts.log(say("log"), text)
        return [shown, gradio.Button(visible=going), name, gradio.Timer(active=going)]

    def halt(self, name: str, request: Any) -> list[Any]:
        """Stop a step."""
        self.session.attempt(lambda: self.session.jobs.stop(name) or "", self.session.say(request))
        return self.look(name, request)


def _reads(task: str) -> tuple[bool, bool]:
    """Whether a task's answers are phrases, and whether it reads pairs; of one unknown, neither."""
    try:
        found = task_class(task)
    except InputError:
        return False, False
    return found.target_kind == "phrases", len(found.for_planning().text_columns) > 1


def _link(text: str, address: str) -> str:
    shown = parts.escape(address)
    return (
        f'<p class="frtune-ok"><a href="{shown}" target="_blank" rel="noopener noreferrer">'
        f"{parts.escape(text)}</a></p>"
    )
