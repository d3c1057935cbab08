"""The demo page: its parts, and what happens when one is clicked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.demo.files import answer_file
from frtune.demo.models import PageModel, TooLong
from frtune.demo.uploads import SUFFIXES, uploaded_rows
from frtune.errors import InputError, nearest
from frtune.files import draft_folder
from frtune.tasks.highlight import escape
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks

logger = logging.getLogger(__name__)

_PREVIEW = 80  # characters of an example


class DemoSession:
    """Answers what the page and its API ask.

    Args:
        models: As ``open_models`` returns them.
        language: The page's words.
    """

    def __init__(self, models: Mapping[str, PageModel], language: PageLanguage):
        self.models = models
        self.language = language

    def model(self, name: str) -> PageModel:
        """The model called ``name``; ``InputError`` for another name."""
        if name not in self.models:
            names = list(self.models)
            raise InputError(f"model={name}: one of {', '.join(names)}.{nearest(name, names)}")
        return self.models[name]

    def partners(self, name: str) -> list[str]:
        """The other models that read as many texts."""
        pairs = self.model(name).takes_pairs
        return [key for key, other in self.models.items()
                if key != name and other.takes_pairs == pairs]  # fmt: skip

    def html(self, name: str, parts: tuple[str, str, str], request: Any) -> str:
        """The answer to a text, a pair and a title as HTML, or what went wrong."""
        say = partial(self.language.say, request=request)
        head = f"<h3>{escape(name)}</h3>"
        model = self.model(name)
        text, pair, _ = parts
        if not text.strip() or (model.takes_pairs and not pair.strip()):
            return head + error_html(say("no_text"))
        try:
            (answer,) = model.predict([model.row(*parts)])
        except TooLong as error:
            return head + error_html(say("too_long", found=error.found, allowed=error.allowed))
        except InputError as error:
            return head + error_html(str(error))
        except Exception:  # whatever a model does, the page stays up
            logger.exception("%s failed on a text of %d characters", name, len(text))
            return head + error_html(say("failed"))
        return head + model.task.answer_html(answer, say)

    def predict(
        self, model: str, text: str, text_pair: str = "", title: str = ""
    ) -> dict[str, Any]:
        """Answer for one text (or pair) with one model, as ``frtune predict`` does."""
        gradio = load_gradio()
        try:
            chosen = self.model(model)
            (answer,) = chosen.predict([chosen.row(text, text_pair, title)])
        except InputError as error:
            raise gradio.Error(str(error)) from None
        except Exception:
            logger.exception("%s failed on a text of %d characters", model, len(text))
            raise gradio.Error("The model failed on this text.") from None
        return answer

    def list_models(self) -> list[dict[str, Any]]:
        """The models: ``name``, ``task``, ``takes_pairs``, ``max_characters``."""
        return [
            {
                "name": name,
                "task": model.task.name,
                "takes_pairs": model.takes_pairs,
                "max_characters": model.max_characters,
            }
            for name, model in self.models.items()
        ]

    def file(
        self, name: str, path: str | None, request: Any, progress: Callable[..., Any]
    ) -> Iterator[tuple[str | None, str]]:
        """Answer for each row of an uploaded file; yields the CSV's path, and a message as HTML."""
        say = partial(self.language.say, request=request)
        if path is None:
            yield None, error_html(say("no_file"))
            return
        source, done, left = Path(path), 0, 0
        # what is yielded is copied to the page's own folder, where it does not stay long
        with draft_folder() as folder:
            output = folder / f"{source.stem}.answers.csv"
            try:
                rows = uploaded_rows(source, source.name)
                steps = answer_file(self.model(name), rows, source.name, output)
                for done, left in steps:  # noqa: B007
                    progress((done, len(rows)), desc=say("working"))
                    yield None, f'<p class="frtune-note">{done} / {len(rows)}</p>'
            except InputError as error:
                yield None, error_html(f"{say('bad_file')} {error}")
                return
            except Exception:
                logger.exception("%s failed on a file, after %d rows", name, done)
                yield None, error_html(say("failed"))
                return
            yield str(output), f"<p>{escape(say('done', rows=done, left=left))}</p>"


def error_html(message: str) -> str:
    """A message of failure.

    Example:
        >>> error_html("no <model>")
        '<div class="frtune-error" role="alert">no &lt;model&gt;</div>'
    """
    return f'<div class="frtune-error" role="alert">{escape(message)}</div>'


def build_page(models: Mapping[str, PageModel], language: PageLanguage) -> Blocks:
    """Put the page together.

    Args:
        models: As ``open_models`` returns them; the first is the one that the page opens with.
        language: Of ``WORDS``.
    """
    gradio = load_gradio()
    session = DemoSession(models, language)
    label, names = language.label, list(models)
    head = {"title": " · ".join(["frtune", *names])[:100], "fill_width": False}
    with gradio.Blocks(**head, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        with gradio.Row():
            first = gradio.Dropdown(names, value=names[0], label=label("model"), elem_id="model")
            partners = [(label("nothing"), ""), *session.partners(names[0])]
            second = gradio.Dropdown(
                partners, value="", label=label("second"), elem_id="second", visible=len(names) > 1
            )
        with gradio.Tabs():
            with gradio.Tab(label("one_text")):
                _text_tab(gradio, session, first, second)
            with gradio.Tab(label("one_file")):
                _file_tab(gradio, session, first)
        gradio.api(session.predict, api_name="predict", concurrency_limit=1, concurrency_id="model")
        gradio.api(session.list_models, api_name="models")
    return page


def _redraw(gradio: Any, session: DemoSession, name: str) -> list[Any]:
    """What a model asks of the page: settings of second model, title, pair, examples."""
    model, partners = session.model(name), session.partners(name)
    nothing = session.language.label("nothing")
    return [
        gradio.Dropdown([(nothing, ""), *partners], value="", visible=bool(partners)),
        gradio.Textbox(visible=model.task.title_column is not None),
        gradio.Textbox(visible=model.takes_pairs),
        gradio.Dataset(samples=previews(model), visible=bool(model.examples)),
    ]


def previews(model: PageModel) -> list[list[str]]:
    """The beginning of each example, in one cell."""
    texts = (" ↔ ".join(filter(None, model.parts(row)[:2])) for row in model.examples)
    return [[text if len(text) <= _PREVIEW else f"{text[: _PREVIEW - 1]}…"] for text in texts]


def _text_tab(gradio: Any, session: DemoSession, first: Any, second: Any) -> None:
    label, model = session.language.label, session.model(first.value)
    limit = max(model.max_characters for model in session.models.values())
    title = gradio.Textbox(
        label=label("title"), visible=model.task.title_column is not None, elem_id="title",
        max_length=limit,
    )  # fmt: skip
    text = gradio.Textbox(
        label=label("text"), lines=6, max_lines=20, elem_id="text", max_length=limit
    )
    pair = gradio.Textbox(
        label=label("pair"), lines=3, max_lines=20, visible=model.takes_pairs, elem_id="pair",
        max_length=limit,
    )  # fmt: skip
    with gradio.Row():
        clear = gradio.Button(label("clear"))
        run = gradio.Button(label("run"), variant="primary", elem_id="run")
    with gradio.Row():
        shown = gradio.HTML(elem_id="answer")
        beside = gradio.HTML(elem_id="answer2", visible=False)
    examples = gradio.Dataset(
        components=[gradio.Textbox(visible=False)], samples=previews(model), type="index",
        label=label("examples"), elem_id="examples", visible=bool(model.examples),
    )  # fmt: skip

    def answer(
        name: str, other: str, title: str, text: str, pair: str, request: Any
    ) -> tuple[str, Any]:
        parts = (text or "", pair or "", title or "")
        html = session.html(name, parts, request)
        if not other:
            return html, gradio.HTML("", visible=False)
        return html, gradio.HTML(session.html(other, parts, request), visible=True)

    def example(name: str, index: int) -> tuple[str, str, str]:
        found, partner, heading = session.model(name).parts(session.model(name).examples[index])
        return heading, found, partner

    private = {"api_visibility": "private"}
    answer.__annotations__["request"] = gradio.Request  # Gradio passes what is annotated so
    run.click(answer, [first, second, title, text, pair], [shown, beside],
              concurrency_limit=1, concurrency_id="model", **private)  # fmt: skip
    clear.click(lambda: ("", "", "", "", gradio.HTML("", visible=False)), None,
                [title, text, pair, shown, beside], **private)  # fmt: skip
    examples.click(example, [first, examples], [title, text, pair], **private)
    first.change(lambda name: _redraw(gradio, session, name), [first],
                 [second, title, pair, examples], show_progress="hidden", **private)  # fmt: skip


def _file_tab(gradio: Any, session: DemoSession, first: Any) -> None:
    label = session.language.label
    upload = gradio.File(label=label("file"), file_types=list(SUFFIXES), elem_id="upload")
    with gradio.Row():
        stop = gradio.Button(label("stop"), variant="stop")
        run = gradio.Button(label("run"), variant="primary", elem_id="run_file")
    message = gradio.HTML(elem_id="message")
    result = gradio.File(label=label("result"), interactive=False, elem_id="result")
    progress = gradio.Progress()

    def answer(
        model: str, file: str | None, request: Any, progress=progress
    ) -> Iterator[tuple[str | None, str]]:
        yield from session.file(model, file, request, progress)

    answer.__annotations__["request"] = gradio.Request
    answer.__doc__ = "Answer for each row of a file: the CSV with the answers, and a message."
    working = run.click(
        answer, [first, upload], [result, message], api_name="predict_file", concurrency_limit=1,
        concurrency_id="file", show_progress_on=[message],
    )  # fmt: skip
    stop.click(None, cancels=[working], api_visibility="private")
