"""What the demo answers: to a text, to a file, to its API."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from frtune.data.cleaning import clean_text
from frtune.demo.errors import PageError, told
from frtune.demo.files import Done, answer_file
from frtune.demo.models import PageModel
from frtune.demo.translations import task_words
from frtune.demo.uploads import uploaded_rows
from frtune.errors import InputError, nearest
from frtune.files import draft_folder
from frtune.tasks.answer_html import Say
from frtune.tasks.highlight import escape
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

logger = logging.getLogger(__name__)


class DemoSession:
    """Answers what the page and its API ask.

    Args:
        models: As ``open_models`` returns them.
        language: The page's words.
        defuse: Whether files of answers are safe in a spreadsheet.
    """

    def __init__(
        self, models: Mapping[str, PageModel], language: PageLanguage, *, defuse: bool = True
    ):
        self.models = models
        self.language = language
        self.defuse = defuse
        self._jobs: dict[str, threading.Event] = {}  # of visitors whose file is being answered

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

    def about(self, names: Sequence[str], request: Any) -> str:
        """What the models are, as HTML: task, base and score, a line each."""
        say = partial(self.language.say, request=request)
        return "".join(f"<p>{self._facts(self.model(name), say)}</p>" for name in names if name)

    def _facts(self, model: PageModel, say: Say) -> str:
        facts = model.facts
        parts = [say("task", task=task_words(model.task.name, say))]
        if facts.base:
            parts.append(say("base", base=facts.base))
        if facts.score is not None:
            score = f"{facts.score_name} {facts.score:.3f}"
            parts.append(say("test_score", score=score))
        return f"<b>{escape(model.name)}</b> · {escape(' · '.join(parts))}"

    def html(self, name: str, parts: tuple[str, str, str], request: Any) -> str:
        """The answer to a text, a pair and a title as HTML, or what went wrong."""
        say = partial(self.language.say, request=request)
        head = f"<h2>{escape(name)}</h2>"
        model = self.model(name)
        text, pair, _ = parts
        if not clean_text(text) or (model.takes_pairs and not clean_text(pair)):
            return head + error_html(say("no_texts" if model.takes_pairs else "no_text"))
        row = model.row(*parts)
        try:
            (answer,), (read,) = model.predict([row]), model.read_tokens([row])
        except PageError as error:
            return head + error_html(say(error.key, **error.values))
        except Exception:  # whatever a model does, the page stays up
            logger.exception("%s failed on a text of %d characters", name, len(text))
            return head + error_html(say("failed"))
        note = "" if read is None else warning_html(cut_text(read, say))
        return head + note + model.task.answer_html(answer, say)

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

    def stop(self, request: Any) -> str:
        """Have the file of this visitor end after the rows at hand; returns a message as HTML."""
        job = self._jobs.get(request.session_hash)
        if job is None:
            return note_html(self.language.say("nothing_runs", request))
        job.set()
        return note_html(self.language.say("stopping", request))

    def file(
        self,
        names: Sequence[str],
        path: str | None,
        encoding: str,
        request: Any,
        progress: Callable[..., Any],
    ) -> Iterator[tuple[str | None, str]]:
        """Answer for each row of an uploaded file; yields the CSV's path, and a message as HTML."""
        say = partial(self.language.say, request=request)
        if path is None:
            yield None, error_html(say("no_file"))
            return
        source, done, count = Path(path), Done(0, 0, 0), 0
        stopped = self._jobs[request.session_hash] = threading.Event()
        # what is yielded is copied to the page's own folder, where it does not stay long
        with draft_folder() as folder:
            output = folder / f"{source.stem}.answers.csv"
            try:
                rows = uploaded_rows(source, source.name, encoding or None)
                count, models = len(rows), [self.model(name) for name in names if name]
                steps = answer_file(models, rows, source.name, output, defuse=self.defuse)
                for done in steps:
                    progress((done.rows, count), desc=say("working"))
                    yield None, note_html(f"{done.rows} / {count}")
                    if stopped.is_set():
                        steps.close()
                        break
            except InputError as error:
                yield None, error_html(f"{say('bad_file')} {told(error, say)}")
                return
            except Exception:
                logger.exception("%s failed on a file, after %d rows", names[0], done.rows)
                yield None, error_html(say("failed_file"))
                return
            finally:
                self._jobs.pop(request.session_hash, None)
            yield str(output), done_html(done, count, say)


def cut_text(read: tuple[int, int], say: Say) -> str:
    """That a text was answered from its beginning, and how much of it that is."""
    some, all_ = read
    return say("cut", read=some, tokens=all_, share=100 * some // all_)


def done_html(done: Done, count: int, say: Say) -> str:
    """What became of a file, whole or stopped."""
    told = [] if done.rows == count else [say("stopped", rows=done.rows, count=count)]
    told.append(say("done", rows=done.rows, left=done.left))
    if done.cut:
        told.append(say("rows_cut", cut=done.cut))
    return "".join(f"<p>{escape(text)}</p>" for text in told)


def error_html(message: str) -> str:
    """A message of failure.

    Example:
        >>> error_html("no <model>")
        '<div class="frtune-error" role="alert">no &lt;model&gt;</div>'
    """
    return f'<div class="frtune-error" role="alert">{escape(message)}</div>'


def warning_html(message: str) -> str:
    """Something to know of an answer."""
    return f'<div class="frtune-warning">{escape(message)}</div>'


def note_html(message: str) -> str:
    """A message in passing."""
    return f'<p class="frtune-note">{escape(message)}</p>'
