"""The part of the results that has an API label further texts, for the next training run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, get_args, get_type_hints

from frtune.board.folder import BoardFolder
from frtune.board.session import BoardSession
from frtune.errors import InputError
from frtune.labelling.prompts import LabelJob
from frtune.runs.record import Run
from frtune.tasks.config_file import load_task

LABELLED = "labelled"  # below the folder
_TASKS = get_args(get_type_hints(LabelJob)["task"])


class LabelPart:
    """The fields that a labelling needs from a person, and its two buttons.

    Args:
        gradio: The library.
        session: The folder and its jobs.
    """

    def __init__(self, gradio: Any, session: BoardSession):
        self.gradio, self.folder = gradio, session.folder
        label = session.language.label
        with gradio.Accordion(
            label("do_label"), open=False, visible=False, elem_id="label_part"
        ) as self.body:
            with gradio.Row():
                self.texts = gradio.Dropdown([], value=None, label=label("label_texts"),
                                             info=label("label_help"),
                                             elem_id="label_texts", min_width=240)  # fmt: skip
                self.column = gradio.Textbox(label=label("text_column"), max_lines=1,
                                             elem_id="label_column", min_width=160)  # fmt: skip
            with gradio.Row():
                self.address = gradio.Textbox(
                    os.environ.get("OPENAI_BASE_URL", ""), label=label("label_address"),
                    placeholder="http://localhost:8000/v1", max_lines=1, elem_id="label_address",
                )  # fmt: skip
                self.model = gradio.Textbox(label=label("label_model"), max_lines=1,
                                            elem_id="label_model")  # fmt: skip
            with gradio.Row():
                self.try_out = gradio.Button(label("label_dry"), elem_id="label_dry", size="sm")
                self.start = gradio.Button(label("label_start"), elem_id="label_start", size="sm")

    @property
    def given(self) -> list[Any]:
        """The components that say what is labelled, and by whom."""
        return [self.texts, self.column, self.address, self.model]

    @property
    def shown(self) -> list[Any]:
        """The components that ``show`` sets."""
        return [self.body, self.texts, self.column]

    def show(self, run: Run | None) -> list[Any]:
        """Settings of ``shown`` for a run; hidden where an API cannot label for its task."""
        gradio = self.gradio
        if run is None or run.task not in _TASKS or run.settings.get("multi_label"):
            return [gradio.Accordion(visible=False), gradio.skip(), gradio.skip()]
        column = run.settings.get("text_column") or LabelJob.text_column
        files = self.folder.data_files()
        return [gradio.Accordion(visible=True), gradio.Dropdown(choices=files), column]


def label_words(
    folder: BoardFolder, run: Run, given: Sequence[str | None], *, dry: bool
) -> list[str]:
    """The command that labels a file for a run's task, without ``frtune``.

    The key of the environment is for the address that the environment names, ``OPENAI_BASE_URL``:
    whoever sees the page can give another one.

    Args:
        folder: The folder.
        run: A finished run.
        given: Values of ``LabelPart.given``.
        dry: Show prompts and cost, ask nothing.

    Raises:
        InputError: If a field is blank, or a file is outside the folder.
    """
    fields = ("texts", "column", "address", "model")
    texts, column, address, model = values = [(value or "").strip() for value in given]
    if blank := [name for name, value in zip(fields, values, strict=True) if not value]:
        raise InputError(f"{blank[0]}: is blank. Fill it in.")
    folder.inside(texts)
    task = load_task(folder.inside(run.name))
    known = os.environ.get("OPENAI_BASE_URL", "").rstrip("/")
    classes = ["--labels", *task.classes] if task.classes else []
    return [
        "label", texts, f"--task={task.name}", *classes, f"--text-column={column}",
        f"--base-url={address}", f"--model={model}",
        *(["--key-env=none"] if address.rstrip("/") != known else []),
        f"--output={_free_file(folder, texts)}", *(["--dry-run"] if dry else []),
    ]  # fmt: skip


def _free_file(folder: BoardFolder, texts: str) -> str:
    stem, number = PurePosixPath(texts).stem, 1
    found = f"{LABELLED}/{stem}.jsonl"
    while folder.inside(found).exists():
        number += 1
        found = f"{LABELLED}/{stem}-{number}.jsonl"
    return found
