"""Lines of a card, run before it is written, beside what ``frtune.load`` answers."""

from __future__ import annotations

import builtins
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil
import torch
import transformers

from frtune.data.cleaning import clean_text
from frtune.environment.progress import brief_bars
from frtune.errors import first_line
from frtune.inference import load
from frtune.model_cards import markdown
from frtune.model_cards.sections import Section
from frtune.models.adapter_base import base_of
from frtune.models.bitsandbytes import quantization_record
from frtune.models.checkpoint_files import number_of_weights, weight_files
from frtune.models.deepspeed import zero3_suspended
from frtune.models.tokenizer_files import PROBES
from frtune.tasks.base import Row, Task
from frtune.training.saving import MERGED

logger = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**30  # of weights that are opened and run on the processor
SHOWN_CHARACTERS = 300  # of a text, at most
_ROWS = 50  # that short texts are looked for among
_TRIED = 2
_ROOM = 1.5  # of the weights, in free memory


class Examples(NamedTuple):
    """Rows that the lines of a card may be run on.

    Attributes:
        rows: With the task's columns.
        origin: Of each row, in words.
    """

    rows: Sequence[Row]
    origin: str


def examples_of(task: Task, splits: Mapping[str, Any], *, public: bool) -> Examples:
    """A few test rows, or validation rows; a made-up one where the card is to be published.

    ``predictions.jsonl`` holds the test rows, too, and is never uploaded.
    """
    for name in () if public else ("test", "validation"):
        rows = splits.get(name)
        if rows is not None and len(rows):
            first = [rows[i] for i in range(min(_ROWS, len(rows)))]
            first.sort(key=lambda row: max(_length(row, task) - SHOWN_CHARACTERS, 0))
            return Examples(
                [_short(row, task) for row in first[:_TRIED]], f"a text of a {name} row"
            )
    return made_up(task)


def made_up(task: Task) -> Examples:
    """Texts of nobody."""
    texts = dict(zip(task.text_columns, (PROBES[2], PROBES[0]), strict=False))
    return Examples([{column: texts.get(column) for column in task.columns}], "a made-up text")


def _length(row: Row, task: Task) -> int:
    return max(len(row[column]) for column in task.text_columns)


def _short(row: Row, task: Task) -> dict[str, Any]:
    return {column: row[column] and _beginning(row[column]) for column in task.columns}


def _beginning(text: str) -> str:
    text = clean_text(text)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    kept = text[:SHOWN_CHARACTERS]
    return (kept.rpartition(" ")[0] or kept).strip()


def checked(
    sections: Sequence[Section],
    task: Task,
    examples: Examples,
    *,
    directory: str | os.PathLike[str],
    name: str,
    unchecked: str | None = None,
) -> str:
    """Run the lines of some sections, and write the sections with what they printed.

    What fails, or answers otherwise than ``frtune.load``, is said there and in a warning.

    Args:
        sections: Of the directory.
        task: The directory's.
        examples: What they may be run on: the first that has an answer.
        directory: A finished model directory.
        name: That the lines call it by.
        unchecked: Why they are not to be run; ``None`` runs them where there is memory for it.
    """
    row, answer = examples.rows[0], None
    reason = unchecked
    if reason is None and sections:
        try:
            reason = _no_room(directory)
            if reason is None:
                row, answer = _answered(task, examples.rows, directory)
        except Exception as error:  # a card is not worth the report of a long training
            logger.debug("answer for the card", exc_info=True)
            reason = f"frtune.load fails ({first_line(error)})"
            logger.warning("README.md: its lines were not run: %s", reason)
    texts = task.line_texts(row)
    parts = []
    for section in sections:
        if answer is None:
            verdict = f"These lines were not run: {markdown.plain(reason)}.\n"
        else:
            code = section.code(os.path.abspath(directory), texts)
            verdict = _verdict(section.title, code, task, answer, origin=examples.origin)
        text = f"{section.text}\n\n" if section.text else ""
        shown = markdown.block(section.code(name, texts), "python")
        parts.append(f"### {section.title}\n\n{text}{shown}\n{verdict}")
    return "\n".join(parts)


def _verdict(title: str, code: str, task: Task, answer: Mapping[str, Any], *, origin: str) -> str:
    """What is said below lines, which are run."""
    try:
        printed = run_lines(code)
        is_same = task.is_same_answer(printed, answer)
    except Exception as error:  # of any library, in any of its ways
        logger.debug("lines of the card", exc_info=True)
        said = f"{type(error).__name__}: {first_line(error)}"
        logger.warning("README.md: its lines for %s fail: %s", title, said)
        return f"**These lines fail**: {markdown.code(said)}. Use frtune with this model.\n"
    output = markdown.block(str(printed), "text")
    if is_same:
        return (
            f"frtune ran these lines before it wrote this card, on {origin}. They print "
            f"what `frtune predict` answers:\n\n{output}"
        )
    logger.warning(
        "README.md: its lines for %s do not answer as frtune.load does; the card says so", title
    )
    ours = {key: value for key, value in answer.items() if key not in ("text", "text_pair")}
    return (
        f"**These lines answer otherwise than frtune.** On {origin} they print:\n\n"
        f"{output}\n`frtune predict` answers:\n\n{markdown.block(str(ours), 'text')}"
    )


def run_lines(code: str) -> Any:
    """Run lines of Python that know no frtune; what they print, the value itself.

    Raises:
        ImportError: If they import frtune.
        Exception: Whatever the lines raise.
    """
    said: list[Any] = []

    def importing(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == __package__.partition(".")[0]:
            raise ImportError(f"{name}: the lines are to work without it.")
        return builtins.__import__(name, *rest, **options)

    known = {**vars(builtins), "print": said.append, "__import__": importing}
    with _quietly(), zero3_suspended(), torch.random.fork_rng(devices=[]):
        exec(compile(code, "README.md", "exec"), {"__builtins__": known, "__name__": "__card__"})
    return said[-1]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep libraries from reporting what is compared here."""
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(), brief_bars():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(level)


def _answered(
    task: Task, rows: Sequence[Row], directory: str | os.PathLike[str]
) -> tuple[Row, dict[str, Any]]:
    """The first row whose answer is not empty, or else the first row; and its answer."""
    with _quietly():
        predictor = load(directory, device="cpu", bf16=False, fp16=False)
        found = []
        for row in rows:
            (answer,) = predictor.predict([row])
            found.append((row, answer))
            if answer.get(task.answer_key) not in ([], None):
                return row, answer
    return found[0]


def _no_room(directory: str | os.PathLike[str]) -> str | None:
    """Why the model is not opened once more, on the processor; ``None`` where it is."""
    merged = os.path.join(directory, MERGED)
    places = [base_of(directory), *([merged] if os.path.isdir(merged) else [])]
    files = [file for place in places for file in weight_files(place)]
    size = sum(os.stat(file).st_size for file in files)
    if size > MOST_BYTES:
        most = f"{MOST_BYTES / 2**30:.0f} GiB"
        return f"it takes long with weights of {size / 2**30:.1f} GiB, and is left out above {most}"
    if quantization_record(directory) is None:  # weights of 16 bits are opened in 32
        size = max(size, 4 * sum(map(number_of_weights, files)))
    free = psutil.virtual_memory().available
    if _ROOM * size <= free:
        return None
    needed = f"{_ROOM * size / 2**30:.1f} GiB of memory"
    return f"that takes {needed}, and {free / 2**30:.1f} are free"
