"""The rating page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.rating.session import RatingDesk, Sheet, letter
from frtune.rating.study import rater_name
from frtune.tasks.highlight import escape, marked_text
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks

    from frtune.rating.store import RatingStore

logger = logging.getLogger(__name__)

_NONE = "none"  # no list is better


class _Page:
    """The components of the page, and what they show for a sheet."""

    def __init__(self, gradio: Any, desk: RatingDesk, language: PageLanguage):
        self.gradio, self.desk, self.language = gradio, desk, language
        label, study = language.label, desk.study
        with gradio.Row() as self.door:
            self.name = gradio.Textbox(label=label("name"), max_length=64, elem_id="name", scale=3)
            self.start = gradio.Button(label("start"), variant="primary", elem_id="start", scale=1)
        with gradio.Column(visible=False) as self.room:
            self.progress = gradio.HTML(elem_id="progress")
            with gradio.Column() as self.body:
                self.text = gradio.HTML(elem_id="text")
                self.question = gradio.HTML()
                with gradio.Row():
                    lists = [self._list(place) for place in range(len(study.runs))]
                letters = [(letter(i), str(i)) for i in range(len(study.runs))]
                self.best = gradio.Radio(
                    [*letters, (label("no_difference"), _NONE)], label=label("best"),
                    visible=study.mode == "prefer", elem_id="best",
                )  # fmt: skip
            with gradio.Row():
                self.back = gradio.Button(label("back"), elem_id="back")
                self.next = gradio.Button(label("next"), variant="primary", elem_id="next")
        self.message = gradio.HTML(elem_id="message")
        self.wrong = [wrong for wrong, _ in lists]
        self.grades = [grade for _, grade in lists]
        self.rater = gradio.State("")
        self.place = gradio.State(0)

    def _list(self, place: int) -> tuple[Any, Any]:
        gradio, study, label = self.gradio, self.desk.study, self.language.label
        with gradio.Column(min_width=240):
            gradio.Markdown(f"### {letter(place)}")
            wrong = gradio.CheckboxGroup(
                [], label=label("wrong"), elem_id=f"wrong{place}", elem_classes="frtune-phrases"
            )
            grade = gradio.Radio(
                [(name, str(number)) for number, name in study.scale], label=label("grade"),
                visible=study.mode == "score", elem_id=f"grade{place}",
            )  # fmt: skip
        return wrong, grade

    @property
    def shown(self) -> list[Any]:
        """The components that ``show`` sets."""
        return [self.rater, self.place, self.door, self.room, self.body, self.message,
                self.progress, self.text, self.question, self.best, self.next,
                *self.wrong, *self.grades]  # fmt: skip

    def show(self, rater: str, sheet: Sheet, request: Any) -> list[Any]:
        """Settings of ``shown`` for a sheet."""
        gradio, study = self.gradio, self.desk.study
        total = len(study.items)
        at_end = sheet.place == total

        def say(key: str, **values: Any) -> str:
            return escape(self.language.say(key, request, **values))

        head = say("progress", place=min(sheet.place + 1, total), items=total, done=sheet.done)
        if at_end:
            head = say("finished", items=total)
        question = study.question or self.language.say(f"ask_{study.mode}", request)
        best = None
        if sheet.answered:
            best = _NONE if sheet.preferred is None else str(sheet.preferred)
        nothing = self.language.say("no_phrases", request)
        lists = [] if at_end else list(zip(sheet.lists, sheet.wrong, strict=True))
        wrong = [
            gradio.CheckboxGroup(
                [(phrase, str(i)) for i, phrase in enumerate(phrases)],
                value=[str(i) for i in marked],
                label=self.language.label("wrong") if phrases else nothing,
            )
            for phrases, marked in lists
        ]
        grades = [
            gradio.Radio(value=None if grade is None else str(grade)) for grade in sheet.grades
        ]
        empty = len(study.runs) if at_end else 0
        return [
            rater, sheet.place, gradio.Row(visible=False), gradio.Column(visible=True),
            gradio.Column(visible=not at_end), "", f'<p class="frtune-note">{head}</p>',
            marked_text(sheet.text, []), f"<p><b>{escape(question)}</b></p>",
            gradio.Radio(value=best), gradio.Button(visible=not at_end),
            *wrong, *grades, *[gradio.skip()] * (2 * empty),
        ]  # fmt: skip

    def stay(self, message: str) -> list[Any]:
        """Settings of ``shown`` that change the message alone."""
        note = f'<div class="frtune-error" role="alert">{escape(message)}</div>'
        return [note if part is self.message else self.gradio.skip() for part in self.shown]


def build_page(store: RatingStore, language: PageLanguage, *, signed_in: bool = False) -> Blocks:
    """Put the page together.

    Args:
        store: The file of the study.
        language: Of ``frtune.rating.translations.WORDS``.
        signed_in: Raters are those who signed in, and give no name.
    """
    gradio = load_gradio()
    desk = RatingDesk(store)
    with gradio.Blocks(title="frtune rate", analytics_enabled=False) as page:
        parts = _Page(gradio, desk, language)
        runs = len(desk.study.runs)

        def begin(name: str, request: Any) -> list[Any]:
            try:
                rater = rater_name((request.username or "") if signed_in else name)
            except InputError:
                return parts.stay(language.say("bad_name", request))
            return parts.show(rater, desk.sheet(rater, desk.resume(rater)), request)

        def back(rater: str, place: int, request: Any) -> list[Any]:
            return parts.show(rater, desk.sheet(rater, place - 1), request)

        def save(
            request: Any, rater: str, place: int, best: str | None, *answers: Any
        ) -> list[Any]:
            wrong, grades = answers[:runs], answers[runs:]
            if (best if desk.study.mode == "prefer" else all(grades)) in (None, False):
                return parts.stay(language.say("incomplete", request))
            try:
                desk.answer(
                    rater, place,
                    grades=[float(g) if g else None for g in grades],
                    wrong=[[int(i) for i in marked or ()] for marked in wrong],
                    preferred=None if best in (None, _NONE) else int(best),
                )  # fmt: skip
            except Exception:  # the page stays up, and the rater's ticks stay where they are
                logger.exception("an answer of %s could not be saved", rater)
                return parts.stay(language.say("failed", request))
            return parts.show(rater, desk.sheet(rater, place + 1), request)

        for function in (begin, back, save):
            function.__annotations__["request"] = gradio.Request  # passed where annotated so
        private: dict[str, Any] = {"api_visibility": "private"}
        known = [parts.rater, parts.place]
        if signed_in:
            parts.name.visible = False
        gradio.on([parts.start.click, parts.name.submit], begin, [parts.name], parts.shown,
                  **private)  # fmt: skip
        parts.back.click(back, known, parts.shown, **private)
        parts.next.click(save, [*known, parts.best, *parts.wrong, *parts.grades], parts.shown,
                         **private)  # fmt: skip
    return page
