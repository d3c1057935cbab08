"""The part of the demo page where one text is answered."""

from __future__ import annotations

from typing import Any

from frtune.demo.models import PageModel
from frtune.demo.session import DemoSession
from frtune.tasks.highlight import escape

_PREVIEW = 80  # characters of an example
_TRUTH = 60  # characters of what is true of it


class TextTab:
    """The components of the tab, and what happens when one is clicked.

    Args:
        gradio: The library.
        session: Answers.
        first: The field with the model's name.
        second: The field with the name of the one that it is compared with.
    """

    def __init__(self, gradio: Any, session: DemoSession, first: Any, second: Any):
        self.gradio, self.session = gradio, session
        self.first, self.second = first, second
        label, model = session.language.label, session.model(first.value)
        self.title = gradio.Textbox(
            label=label("title"), visible=model.task.title_column is not None, elem_id="title"
        )
        self.text = gradio.Textbox(label=label("text"), lines=6, max_lines=20, elem_id="text")
        self.pair = gradio.Textbox(
            label=label("pair"), lines=3, max_lines=20, visible=model.takes_pairs, elem_id="pair"
        )
        self.truth = gradio.HTML(elem_id="truth", visible=False)
        with gradio.Row():
            self.run = gradio.Button(label("run"), variant="primary", elem_id="run")
            self.clear = gradio.Button(label("clear"), elem_id="clear")
        with gradio.Row():
            with gradio.Column(min_width=300):
                self.shown = gradio.HTML(elem_id="answer")
            with gradio.Column(min_width=300, visible=False) as self.beside:
                self.other = gradio.HTML(elem_id="answer2")
        self.examples = gradio.Dataset(
            components=[gradio.HTML(visible=False)], samples=previews(model), type="index",
            label=label("examples"), elem_id="examples", visible=bool(model.examples),
        )  # fmt: skip
        self._connect()

    def _connect(self) -> None:
        gradio, private = self.gradio, {"api_visibility": "private"}
        texts = [self.title, self.text, self.pair]
        answers = [self.shown, self.other, self.beside]
        for function in (self.answer, self.example):
            function.__func__.__annotations__["request"] = gradio.Request  # passed where so
        self.run.click(self.answer, [self.first, self.second, *texts], answers,
                       concurrency_limit=1, concurrency_id="model", **private)  # fmt: skip
        self.clear.click(lambda: ["", "", "", *self.empty()], None,
                         [*texts, *self.emptied], **private)  # fmt: skip
        self.examples.click(self.example, [self.first, self.examples],
                            [*texts, *self.emptied], **private)  # fmt: skip
        # the truth is that of the example as it stands there
        gradio.on([field.input for field in texts], lambda: gradio.HTML("", visible=False), None,
                  [self.truth], show_progress="hidden", **private)  # fmt: skip

    @property
    def emptied(self) -> list[Any]:
        """The components that ``empty`` sets: what would be of another model, or another text."""
        return [self.shown, self.other, self.beside, self.truth]

    def empty(self, truth: str = "") -> list[Any]:
        """Settings without an answer; ``truth`` is HTML."""
        gradio = self.gradio
        return ["", "", gradio.Column(visible=False), gradio.HTML(truth, visible=bool(truth))]

    def answer(
        self, name: str, other: str, title: str, text: str, pair: str, request: Any
    ) -> list[Any]:
        """The answers of one model or two to what a visitor typed."""
        parts = (text or "", pair or "", title or "")
        html = self.session.html(name, parts, request)
        beside = self.session.html(other, parts, request) if other else ""
        return [html, beside, self.gradio.Column(visible=bool(other))]

    def example(self, name: str, index: int, request: Any) -> list[Any]:
        """The texts of an example, and what is true of it."""
        model = self.session.model(name)
        text, pair, title = model.parts(model.examples[index])
        truth = model.truth(index)
        if truth:
            head = self.session.language.say("truth", request)
            truth = f"<p>{escape(head)} <b>{escape(truth)}</b></p>"
        return [title, text, pair, *self.empty(truth)]

    @property
    def redrawn(self) -> list[Any]:
        """The components that ``redraw`` sets."""
        return [self.title, self.pair, self.examples, *self.emptied]

    def redraw(self, model: PageModel) -> list[Any]:
        """Settings of ``redrawn`` for another model."""
        gradio = self.gradio
        return [
            gradio.Textbox(visible=model.task.title_column is not None),
            gradio.Textbox(visible=model.takes_pairs),
            gradio.Dataset(samples=previews(model), visible=bool(model.examples)),
            *self.empty(),
        ]


def previews(model: PageModel) -> list[list[str]]:
    """The beginning of each example, and of what is true of it, in one cell of HTML."""
    cells = []
    for place, row in enumerate(model.examples):
        text = _beginning(" ↔ ".join(filter(None, model.parts(row)[:2])), _PREVIEW)
        truth = _beginning(model.truth(place), _TRUTH)
        cells.append([escape(text) + (f" → <b>{escape(truth)}</b>" if truth else "")])
    return cells


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
