"""The rating page."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.rating.session import RatingSession, Sheet, letter
from frtune.rating.store import RatingStore
from frtune.rating.study import MOST_COMMENT_CHARACTERS, MOST_RATER_CHARACTERS, rater_name
from frtune.tasks.highlight import escape, marked_text
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks


logger = logging.getLogger(__name__)

_NONE = "none"  # no list is better


class _Page:
    """The components of the page, and what they show for a sheet."""

    def __init__(self, gradio: Any, session: RatingSession, language: PageLanguage):
        self.gradio, self.session, self.language = gradio, session, language
        label = language.label
        gradio.Markdown(label("heading"))
        with gradio.Row() as self.name_row:
            self.name = gradio.Textbox(
                label=label("name"), max_length=MOST_RATER_CHARACTERS, elem_id="name", scale=3
            )
            self.start = gradio.Button(label("start"), variant="primary", elem_id="start", scale=1)
        with gradio.Column(visible=False) as self.rating_column:
            self.progress = gradio.HTML(elem_id="progress")
            with gradio.Column() as self.body:
                self._questions()
            with gradio.Row():
                self.next = gradio.Button(label("next"), variant="primary", elem_id="next")
                self.open = gradio.Button(label("open"), elem_id="open", visible=False)
                self.skip = gradio.Button(label("skip"), elem_id="skip")
                self.back = gradio.Button(label("back"), elem_id="back")
        self.message = gradio.HTML(elem_id="message")
        self.rater = gradio.State("")
        # kept by the browser: it stands for the sheet that is seen when a key is pressed, and not
        # for the one that an answer on its way is about to show
        self.place = gradio.Number(0, precision=0, visible=False)

    def _questions(self) -> None:
        gradio, study, label = self.gradio, self.session.study, self.language.label
        self.text = gradio.HTML(elem_id="text")
        self.question = gradio.HTML(elem_id="question")
        with gradio.Row():
            lists = [self._list(place) for place in range(len(study.runs))]
        self.wrong = [wrong for wrong, _ in lists]
        self.grades = [grade for _, grade in lists]
        letters = [(letter(i), str(i)) for i in range(len(study.runs))]
        self.best = gradio.Radio(
            [*letters, (label("no_difference"), _NONE)], label=label("best"),
            visible=study.mode == "prefer", elem_id="best",
        )  # fmt: skip
        self.comment = gradio.Textbox(
            label=label("comment"), lines=1, max_lines=6, max_length=MOST_COMMENT_CHARACTERS,
            elem_id="comment",
        )  # fmt: skip

    def _list(self, place: int) -> tuple[Any, Any]:
        gradio, study, label = self.gradio, self.session.study, self.language.label
        with gradio.Column(min_width=300):
            gradio.Markdown(f"## {letter(place)}")
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
        return [self.rater, self.place, self.name_row, self.rating_column, self.message,
                self.progress, self.next, self.skip, self.open, self.body, self.text,
                self.question, self.best, self.comment, *self.wrong, *self.grades]  # fmt: skip

    def show(self, rater: str, sheet: Sheet, request: Any) -> list[Any]:
        """Settings of ``shown`` for a sheet."""
        gradio, total = self.gradio, len(self.session.study.items)
        at_end = sheet.place == total
        return [
            rater, sheet.place, gradio.Row(visible=False), gradio.Column(visible=True), "",
            f'<p class="frtune-note">{escape(self._progress(sheet, request))}</p>',
            gradio.Button(visible=not at_end), gradio.Button(visible=not at_end),
            gradio.Button(visible=at_end and sheet.done < total),
            gradio.Column(visible=not at_end),
            *([gradio.skip()] * len(self.shown[10:]) if at_end else self._sheet(sheet, request)),
        ]  # fmt: skip

    def _progress(self, sheet: Sheet, request: Any) -> str:
        total, say = len(self.session.study.items), self.language.say
        if sheet.place < total:
            place = sheet.place + 1
            return say("progress", request, place=place, items=total, done=sheet.done)
        if sheet.done < total:
            return say("skipped", request, left=total - sheet.done, items=total)
        return say("finished", request, items=total)

    def _sheet(self, sheet: Sheet, request: Any) -> list[Any]:
        """Settings of the components that ask."""
        gradio, study, say = self.gradio, self.session.study, self.language.say
        question = escape(study.question or say(f"ask_{study.mode}", request))
        keys = escape(say(f"keys_{study.mode}", request))
        best = _NONE if sheet.preferred is None else str(sheet.preferred)
        nothing = say("no_phrases", request)
        wrong = [
            gradio.CheckboxGroup(
                [(phrase, str(i)) for i, phrase in enumerate(phrases)],
                value=[str(i) for i in marked],
                label=self.language.label("wrong") if phrases else nothing,
            )
            for phrases, marked in zip(sheet.lists, sheet.wrong, strict=True)
        ]
        scale = self._scale(request)
        grades = [gradio.Radio(scale, value=None if g is None else str(g)) for g in sheet.grades]
        return [
            marked_text(sheet.text, []),
            f'<p><b>{question}</b></p><p class="frtune-note">{keys}</p>',
            gradio.Radio(value=best if sheet.answered else None), sheet.comment, *wrong, *grades,
        ]  # fmt: skip

    def _scale(self, request: Any) -> list[tuple[str, str]]:
        """The grades; of numbers alone, with the words which end is good."""
        scale, say = self.session.study.scale, self.language.say
        names = [name for _, name in scale]
        if all(name.replace(".", "").lstrip("-").isdigit() for name in names):
            names[0] = say("worst", request, grade=names[0])
            names[-1] = say("best_grade", request, grade=names[-1])
        return [(name, str(number)) for name, (number, _) in zip(names, scale, strict=True)]

    def stay(self, message: str) -> list[Any]:
        """Settings of ``shown`` that change the message alone."""
        note = f'<div class="frtune-error" role="alert">{escape(message)}</div>'
        return [note if part is self.message else self.gradio.skip() for part in self.shown]

    def begin_again(self, request: Any) -> list[Any]:
        """Settings of ``shown`` for a page that has been forgotten."""
        found = self.stay(self.language.say("away", request))
        found[2:4] = [self.gradio.Row(visible=True), self.gradio.Column(visible=False)]
        return found


class _Answers:
    """What happens when a button is clicked; each returns settings of ``_Page.shown``."""

    def __init__(self, page: _Page, *, signed_in: bool):
        self.page, self.session, self.language = page, page.session, page.language
        self.signed_in = signed_in

    def begin(self, name: str, request: Any) -> list[Any]:
        """Show the first sheet that the rater has not answered."""
        try:
            rater = rater_name((request.username or "") if self.signed_in else name)
        except InputError:
            return self.page.stay(self.language.say("bad_name", request))
        return self.open(rater, 0, request)

    def open(self, rater: str, place: int, request: Any) -> list[Any]:
        """Show the first sheet that is open."""
        return self.at(rater, self.session.resume(rater), request)

    def back(self, rater: str, place: int, request: Any) -> list[Any]:
        """Show the sheet before."""
        return self.at(rater, place - 1, request)

    def skip(self, rater: str, place: int, request: Any) -> list[Any]:
        """Show the next sheet, and leave this one open."""
        return self.at(rater, place + 1, request)

    def at(self, rater: str, place: int, request: Any) -> list[Any]:
        """Show a sheet."""
        if not rater:
            return self.page.begin_again(request)
        return self.page.show(rater, self.session.sheet(rater, place), request)

    def save(
        self, request: Any, rater: str, place: int, comment: str | None, best: str | None,
        *answers: Any,
    ) -> list[Any]:  # fmt: skip
        """Keep the answer, and show the next sheet."""
        if not rater:
            return self.page.begin_again(request)
        runs = len(self.session.study.runs)
        wrong, grades = answers[:runs], answers[runs:]
        if (best if self.session.study.mode == "prefer" else all(grades)) in (None, False):
            return self.page.stay(self.language.say("incomplete", request))
        try:
            self.session.answer(
                rater, place,
                grades=[float(g) if g else None for g in grades],
                wrong=[[int(i) for i in marked or ()] for marked in wrong],
                preferred=None if best in (None, _NONE) else int(best),
                comment=comment or "",
            )  # fmt: skip
        except Exception:  # the page stays up, and the rater's ticks stay where they are
            logger.exception("an answer of %s could not be saved", rater)
            return self.page.stay(self.language.say("failed", request))
        return self.at(rater, place + 1, request)


def build_page(store: RatingStore, language: PageLanguage, *, signed_in: bool = False) -> Blocks:
    """Put the page together.

    Args:
        store: The file of the study.
        language: Of ``frtune.rating.translations.WORDS``.
        signed_in: Raters are those who signed in, and give no name.
    """
    gradio = load_gradio()
    session = RatingSession(store)
    with gradio.Blocks(title="frtune rate", analytics_enabled=False) as page:
        parts = _Page(gradio, session, language)
        answers = _Answers(parts, signed_in=signed_in)
        for name in ("begin", "open", "back", "skip", "save"):  # passed where annotated so
            getattr(_Answers, name).__annotations__["request"] = gradio.Request
        private: dict[str, Any] = {"api_visibility": "private"}
        known = [parts.rater, parts.place]
        if signed_in:
            parts.name.visible = False
        gradio.on([parts.start.click, parts.name.submit], answers.begin, [parts.name], parts.shown,
                  **private)  # fmt: skip
        for button in ("open", "back", "skip"):
            getattr(parts, button).click(getattr(answers, button), known, parts.shown, **private)
        given = [*known, parts.comment, parts.best, *parts.wrong, *parts.grades]
        parts.next.click(answers.save, given, parts.shown, **private)
    return page
