"""The review page: a row at a time, the most doubtful first; keys decide."""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.review.folder import Action
from frtune.review.review import Review
from frtune.review.session import ReviewSession, Sheet
from frtune.tasks.highlight import escape
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks

logger = logging.getLogger(__name__)


class _Page:
    """The components of the page, and what they show for a sheet."""

    def __init__(self, gradio: Any, session: ReviewSession, language: PageLanguage):
        self.gradio, self.session, self.language = gradio, session, language
        label = language.label
        gradio.Markdown(label("heading"))
        self.progress = gradio.HTML(elem_id="progress")
        with gradio.Column() as self.body:
            self.text = gradio.HTML(elem_id="text")
            self.doubt = gradio.HTML(elem_id="doubt")
            self.typed = gradio.Textbox(label=label("new_label"), elem_id="new_label", max_lines=1)
            with gradio.Row():
                self.keep = gradio.Button(label("keep"), variant="primary", elem_id="keep")
                self.change = gradio.Button(label("change"), elem_id="change")
                self.drop = gradio.Button(label("drop"), elem_id="drop")
        with gradio.Row():
            self.back = gradio.Button(label("back"), elem_id="back")
            self.next = gradio.Button(label("next"), elem_id="next_row")
            self.save = gradio.Button(label("save"), elem_id="save")
        self.message = gradio.HTML(elem_id="message")
        self.keys = gradio.HTML(elem_id="keys")
        # kept by the browser: it stands for the row that is seen when a key is pressed, and not for
        # the one that an answer on its way is about to show
        self.place = gradio.Number(0, precision=0, visible=False)

    @property
    def shown(self) -> list[Any]:
        """The components that ``show`` sets."""
        return [self.place, self.progress, self.body, self.text, self.doubt, self.typed,
                self.message, self.keys]  # fmt: skip

    def show(self, sheet: Sheet, request: Any, message: str = "") -> list[Any]:
        """Settings of ``shown`` for a sheet."""
        say, rows = self.language.say, len(self.session.rows)
        head = say(
            "progress", request, place=min(sheet.place + 1, rows), rows=rows,
            doubted=self.session.review.doubted, decided=len(self.session.decisions),
        )  # fmt: skip
        if sheet.row is None:
            head = say("finished", request)
        note = f'<p class="frtune-note">{escape(head)}</p>'
        keys = f'<p class="frtune-note">{escape(say("keys", request))}</p>'
        body = self.gradio.Column(visible=sheet.row is not None)
        return [sheet.place, note, body, _texts(sheet), self._doubt(sheet, request), sheet.typed,
                message, keys]  # fmt: skip

    def _doubt(self, sheet: Sheet, request: Any) -> str:
        """Label, suggestion, reasons and decision as HTML; everything is escaped."""
        row, say = sheet.row, self.language.say
        if row is None:
            return ""
        suggested = say("none", request)
        if row.suggestion is not None:
            confidence = say("confidence", request, value=f"{row.confidence:.2f}")
            suggested = f"{row.suggestion} ({confidence})"
        before = sheet.decision
        decided = say("undecided", request)
        if before is not None:
            decided = say(f"decided_{before.action}", request, label=before.label)
        lines = [(say("label", request), row.label), (say("suggestion", request), suggested)]
        cells = "".join(
            f'<tr><th scope="row">{escape(n)}</th><td>{escape(v)}</td></tr>' for n, v in lines
        )
        why = "".join(
            f"<li>{escape(say(each.name, request, **each.values))}</li>" for each in row.reasons
        )
        where = say("where", request, row=row.number, split=row.split)
        return (
            f'<table class="frtune-table">{cells}</table><ul>{why}</ul>'
            f'<p class="frtune-note">{escape(where)} · {escape(decided)}</p>'
        )

    def stay(self, message: str) -> list[Any]:
        """Settings of ``shown`` that change the message alone."""
        note = f'<div class="frtune-error" role="alert">{escape(message)}</div>'
        return [note if part is self.message else self.gradio.skip() for part in self.shown]


def _texts(sheet: Sheet) -> str:
    if sheet.row is None:
        return ""
    return "".join(f'<div class="frtune-text">{escape(text)}</div>' for text in sheet.row.texts)


class _Actions:
    """What the buttons do."""

    def __init__(self, parts: _Page):
        self.parts, self.session = parts, parts.session

    def open(self, request: Any) -> list[Any]:
        """Show the first row that nothing was decided of."""
        return self.parts.show(self.session.sheet(self.session.resume()), request)

    def step(self, place: int, request: Any, by: int) -> list[Any]:
        """Go to another row."""
        return self.parts.show(self.session.sheet(place + by), request)

    def decide(self, place: int, typed: str, request: Any, action: Action) -> list[Any]:
        """Keep a decision and go on to the next row."""
        try:
            self.session.decide(place, action, typed)
        except InputError as error:
            logger.info("a label was refused: %s", error)
            known = ", ".join(self.session.known_labels())
            return self.parts.stay(self.parts.language.say("bad_label", request, known=known))
        except OSError:  # the page stays up
            logger.exception("a decision could not be saved")
            return self.parts.stay(self.parts.language.say("failed", request))
        return self.step(place, request, 1)

    def save(self, place: int, request: Any) -> list[Any]:
        """Write the corrected data."""
        say = self.parts.language.say
        try:
            where, changed, dropped = self.session.save()
        except InputError as error:
            logger.warning(error)
            return self.parts.stay(say("unwritable", request))
        except OSError:
            logger.exception("the corrected data could not be saved")
            return self.parts.stay(say("failed", request))
        told = say("saved", request, where=where, changed=changed, dropped=dropped)
        note = f'<p role="status"><b>{escape(told)}</b></p>'
        return self.parts.show(self.session.sheet(place), request, note)


def build_page(review: Review, language: PageLanguage) -> Blocks:
    """Put the page together.

    Args:
        review: What was found.
        language: Of ``frtune.review.translations.WORDS``.
    """
    gradio = load_gradio()
    session = ReviewSession(review)
    keys = (files("frtune.review") / "keys.js").read_text("utf-8")
    with gradio.Blocks(title="frtune review", analytics_enabled=False) as page:
        parts = _Page(gradio, session, language)
        actions = _Actions(parts)
        private: dict[str, Any] = {"api_visibility": "private"}

        def bound(function: Any, count: int, **values: Any) -> Any:
            """The function with ``count`` inputs, to which Gradio passes the request."""

            def one(place: int, request: Any) -> list[Any]:
                return function(place, request, **values)

            def two(place: int, typed: str, request: Any) -> list[Any]:
                return function(place, typed, request, **values)

            found = one if count == 1 else two
            found.__annotations__["request"] = gradio.Request
            return found

        def opened(request: Any) -> list[Any]:
            return actions.open(request)

        opened.__annotations__["request"] = gradio.Request
        page.load(opened, [], parts.shown, **private)
        page.load(None, None, None, js=keys, **private)
        for button, by in ((parts.back, -1), (parts.next, 1)):
            step = bound(actions.step, 1, by=by)
            button.click(step, [parts.place], parts.shown, **private)
        given = [parts.place, parts.typed]
        for action in ("keep", "change", "drop"):
            decide = bound(actions.decide, 2, action=action)
            getattr(parts, action).click(decide, given, parts.shown, **private)
        parts.typed.submit(bound(actions.decide, 2, action="change"), given, parts.shown, **private)
        parts.save.click(bound(actions.save, 1), [parts.place], parts.shown, **private)
    return page
