"""The part of the board from a file to prepared data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.board import parts
from frtune.board.folder import PREPARED
from frtune.board.jobs import shell
from frtune.board.preview import preview
from frtune.board.preview_html import preview_html
from frtune.board.proposal import (
    SEPARATORS,
    Choices,
    column_fields,
    likely_encoding,
    propose,
    read_sample,
)
from frtune.board.session import BoardSession, with_request
from frtune.demo.session import note_html
from frtune.demo.translations import task_words
from frtune.demo.uploads import ENCODINGS
from frtune.errors import InputError
from frtune.tasks.config_file import task_class, task_names

_MARKS = dict(zip(("semicolon", "comma", "bar", "slash", "line_break"), SEPARATORS, strict=True))
_COLUMNS = 3  # menus: no task has more
_SHOWN = 6  # rows of the table


class DataTab:
    """The components of the tab, and what happens when one is changed.

    Args:
        gradio: The library.
        session: The folder and its jobs.
    """

    def __init__(self, gradio: Any, session: BoardSession):
        self.gradio, self.session = gradio, session
        label = session.language.label
        with gradio.Row():
            self.file = gradio.Dropdown(
                session.folder.data_files(), value=None, label=label("data_file"),
                elem_id="data_file", min_width=240, scale=3,
            )  # fmt: skip
            self.upload = gradio.UploadButton(
                label("data_upload"), elem_id="data_upload", min_width=160, scale=1
            )
        with gradio.Column(visible=False) as self.body:
            self.guessed = gradio.HTML()
            self._choices()
            with gradio.Row():
                with gradio.Column(min_width=300):
                    self.table = gradio.HTML(elem_id="table")
                with gradio.Column(min_width=300):
                    self.audit = gradio.HTML(elem_id="audit")
            self.name = gradio.Textbox(label=label("prepared_name"), elem_id="prepared_name",
                                       max_lines=1)  # fmt: skip
            self.command = gradio.HTML(elem_id="data_command")
            self.write = gradio.Button(label("write"), variant="primary", elem_id="write")
        self.message = gradio.HTML(elem_id="data_message", elem_classes="frtune-live")

    def _choices(self) -> None:
        gradio, label = self.gradio, self.session.language.label
        tasks = [(task_words(task, label), task) for task in task_names()]
        with gradio.Row():
            self.task_name = gradio.Dropdown(tasks, value=tasks[0][1], label=label("what_for"),
                                        elem_id="task", min_width=240)  # fmt: skip
            self.encoding = gradio.Dropdown(
                [(label(key), codec) for key, codec in ENCODINGS], value="",
                label=label("encoding"), elem_id="encoding", min_width=200,
            )  # fmt: skip
            self.separator = gradio.Dropdown(
                [(label(key), mark) for key, mark in _MARKS.items()], value=SEPARATORS[0],
                label=label("separator"), elem_id="separator", min_width=160,
            )  # fmt: skip
        with gradio.Row():
            self.columns = [
                gradio.Dropdown([], label=" ", elem_id=f"column{i}", min_width=200)
                for i in range(_COLUMNS)
            ]
        self.several = gradio.Checkbox(label=label("several_labels"), elem_id="several")
        self.scores = gradio.Checkbox(label=label("scores"), elem_id="scores")

    @property
    def given(self) -> list[Any]:
        """The components that say how the file is read."""
        return [self.file, self.task_name, self.encoding, self.separator, self.several, self.scores,
                *self.columns]  # fmt: skip

    @property
    def shown(self) -> list[Any]:
        """The components that ``show`` sets."""
        return [self.body, self.guessed, self.task_name, self.encoding, self.separator,
                self.several, self.scores, *self.columns, self.table, self.audit, self.command,
                self.name, self.message]  # fmt: skip

    def connect(self, model: Any) -> None:
        """Have the components act; ``model`` is the tab that goes on with what is written."""
        gradio, quiet = self.gradio, {"api_visibility": "private"}
        with_request(gradio, self.open, self.take, self.change, self.change_task, self.renamed,
                     self.keep)  # fmt: skip
        self.file.input(self.open, [self.file], self.shown, **quiet)
        self.upload.upload(self.take, [self.upload], [self.file, *self.shown], **quiet)
        self.task_name.input(self.change_task, [self.name, *self.given], self.shown,
                        show_progress="hidden", **quiet)  # fmt: skip
        changed = [part.input for part in self.given[2:]]
        gradio.on(changed, self.change, [self.name, *self.given], self.shown,
                  show_progress="hidden", trigger_mode="always_last", **quiet)  # fmt: skip
        # by hand alone: a change by ``show`` would come before the columns that it sets
        renamed = [self.name.input, self.name.blur, self.name.submit]
        gradio.on(renamed, self.renamed, [self.name, *self.given], [self.command],
                  show_progress="hidden", trigger_mode="always_last", **quiet)  # fmt: skip
        self.write.click(self.keep, [self.name, *self.given], [self.message, model.prepared],
                         show_progress="hidden", **quiet).then(
            model.open, [model.prepared, model.language], model.opened, show_progress="hidden",
            **quiet,
        )  # fmt: skip

    def refresh(self) -> Any:
        """The menu with the files that are there now."""
        return self.gradio.Dropdown(choices=self.session.folder.data_files())

    def take(self, path: str | None, request: Any) -> list[Any]:
        """Keep an uploaded file in the folder, and open it."""
        try:
            name = self.session.folder.take(Path(path or ""), Path(path or "").name)
        except Exception as error:
            told = self.session.told(error, self.session.say(request))
            return [self.gradio.skip(), *self._stay(told)]
        files = self.gradio.Dropdown(choices=self.session.folder.data_files(), value=name)
        return [files, *self.open(name, request)]

    def open(self, data: str | None, request: Any) -> list[Any]:
        """Propose what a file is for, and show it so."""
        if not data:
            return self._stay("")
        try:
            path = self.session.folder.inside(data)
            name = self.session.folder.free_name(PREPARED, _stem(data))
            encoding = likely_encoding(path)
        except Exception as error:
            return self._stay(self.session.told(error, self.session.say(request)))
        choices = Choices(data, task_names()[0], {}, encoding)
        with contextlib.suppress(InputError):  # the table tells it; the menus stay to be changed
            choices = propose(data, read_sample(path, encoding), encoding)
        return self.show(choices, name, request)

    def change(
        self, request: Any, name: str, data: str | None, task: str, *given: Any
    ) -> list[Any]:
        """Show the file as it is read now; another task has other columns."""
        if not data:
            return self._stay("")
        return self.show(self._chosen(data, task, *given), name, request)

    def change_task(
        self, request: Any, name: str, data: str | None, task: str, *given: Any
    ) -> list[Any]:
        """Show the file for another task: its first column is read, its last one learnt."""
        options, columns = given[: -len(self.columns)], given[-len(self.columns) :]
        named, fields = list(filter(None, columns)), column_fields(task)
        kept = [None] * len(fields)
        if named:
            kept[0], kept[-1] = named[0], named[-1]
        return self.change(request, name, data, task, *options, *kept)

    def renamed(self, request: Any, name: str, data: str | None, task: str, *given: Any) -> str:
        """The command with another name."""
        return self._command(self._chosen(data or "", task, *given), name, request)

    def _chosen(self, data: str, task: str, encoding: str, separator: str, several: bool,
                scores: bool, *columns: str | None) -> Choices:  # fmt: skip
        fields = column_fields(task)
        chosen = {name: column for name, column in zip(fields, columns, strict=False) if column}
        options: dict[str, Any] = {}
        known = task_class(task).__dataclass_fields__
        if "multi_label" in known and several:
            options["multi_label"] = True
            if separator != SEPARATORS[0]:
                options["label_separator"] = separator
        if "separator" in known and separator != SEPARATORS[0]:
            options["separator"] = separator
        if "head" in known and scores:
            options["head"] = "regression"
        return Choices(data, task, chosen, encoding, options)

    def show(self, choices: Choices, name: str, request: Any) -> list[Any]:
        """Settings of ``shown`` for a way to read a file."""
        gradio, say = self.gradio, self.session.say(request)
        known, options = task_class(choices.task).__dataclass_fields__, choices.options
        phrases = "separator" in known
        separator = options.get("separator") or options.get("label_separator") or SEPARATORS[0]
        rows: list[dict[str, Any]] = []

        def first_rows() -> str:
            path = self.session.folder.inside(choices.data)
            rows.extend(read_sample(path, choices.encoding))
            names = list(dict.fromkeys(name for row in rows for name in row))
            cells = ([row.get(name) for name in names] for row in rows[:_SHOWN])
            return parts.head(say("first_rows")) + parts.table(names, cells)

        shown = self.session.attempt(first_rows, say)
        names = list(dict.fromkeys(name for row in rows for name in row))
        choices = self._in_file(choices, names)
        audit = "" if not rows else self.session.attempt(
            lambda: preview_html(preview(self.session.folder, choices), choices, say), say
        )  # fmt: skip
        several = bool(options.get("multi_label"))
        return [
            gradio.Column(visible=True), note_html(say("guessed")), choices.task,
            choices.encoding,
            gradio.update(value=separator, visible=phrases or several),
            gradio.Checkbox(value=several, visible="multi_label" in known),
            gradio.Checkbox(value=options.get("head") == "regression", visible="head" in known),
            *self._menus(choices, names, say), shown, audit,
            self._command(choices, name, request), name, "",
        ]  # fmt: skip

    def _in_file(self, choices: Choices, names: list[str]) -> Choices:
        """The choices with columns that the file has: those of another task are proposed anew."""
        fields = column_fields(choices.task)
        kept = {f: c for f, c in choices.columns.items() if f in fields and c in names}
        rest = [name for name in names if name not in kept.values()]
        for name in fields:
            if name not in kept and name != "title_column" and rest:
                kept[name] = rest.pop(0)
        ordered = {name: kept[name] for name in fields if name in kept}
        return Choices(choices.data, choices.task, ordered, choices.encoding, choices.options)

    def _menus(self, choices: Choices, names: list[str], say: Any) -> list[Any]:
        gradio, menus = self.gradio, []
        fields = column_fields(choices.task)
        for i in range(_COLUMNS):
            if i >= len(fields):
                menus.append(gradio.Dropdown(choices=[], value=None, visible=False))
                continue
            none = [(say("no_title"), "")] if fields[i] == "title_column" else []
            menus.append(gradio.Dropdown(
                choices=[*none, *((name, name) for name in names)], visible=True,
                value=choices.columns.get(fields[i], "" if none else None),
                label=say(fields[i]).strip(),
            ))  # fmt: skip
        return menus

    def _command(self, choices: Choices, name: str, request: Any) -> str:
        say = self.session.say(request)
        words = choices.words(f"{PREPARED}/{name.strip()}")
        return parts.command(say("command"), shell(words))

    def keep(
        self, request: Any, name: str, data: str | None, task: str, *given: Any
    ) -> Iterator[list[Any]]:
        """Run ``frtune prepare``, and offer what it wrote to the next tab."""
        say, skip = self.session.say(request), self.gradio.skip()
        try:
            choices = self._chosen(data or "", task, *given)
            self.session.folder.inside(choices.data)
            name = self.session.folder.free_name(PREPARED, name)
            words = choices.words(output := f"{PREPARED}/{name}")
            job = self.session.jobs.add(f"prepare-{name}", words, output=output)
        except Exception as error:
            yield [self.session.told(error, say), skip]
            return
        for found in self.session.followed(job.name):
            job = found
            yield [note_html(say("working_on_it", command=job.command)), skip]
        if job.code != 0:
            line = self.session.jobs.error(job.name) or f"exit code {job.code}"
            yield [self.session.scarce(say) or self.session.told(InputError(line), say), skip]
            return
        choice = self.gradio.Dropdown(choices=self.session.folder.prepared(), value=output)
        yield [parts.done(say("written", where=output)), choice]

    def _stay(self, message: str) -> list[Any]:
        """Settings of ``shown`` that change the message alone."""
        return [message if part is self.message else self.gradio.skip() for part in self.shown]


def _stem(data: str) -> str:
    kept = "".join(c if c.isalnum() or c in "_-" else "-" for c in Path(data).stem).strip("-_")
    return kept[:60] or "data"
