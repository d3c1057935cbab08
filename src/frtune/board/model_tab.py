"""The part of the board from prepared data to a run: model, settings, preflight, start."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from frtune.board import parts
from frtune.board.checkpoints import LANGUAGES, checkpoints_for, fits, local_checkpoints
from frtune.board.folder import AUDIT, RUNS
from frtune.board.jobs import shell
from frtune.board.progress import all_runs
from frtune.board.session import BoardSession, with_request
from frtune.board.settings import MATTER, checked_further, complaint, run_config, typed, usual
from frtune.board.token_lengths import TokenLengths, token_lengths
from frtune.demo.session import error_html, note_html, warning_html
from frtune.demo.translations import task_words
from frtune.environment.disk import size_text
from frtune.environment.hardware import has_accelerator, processor
from frtune.errors import InputError
from frtune.files import yaml_text
from frtune.planning.plan import Plan
from frtune.tasks.answer_html import Say
from frtune.tasks.base import Task
from frtune.tasks.config_file import task_class

METHODS = {
    "full": {"lora": False}, "lora": {"lora": True}, "int8": {"lora": True, "int8": True},
    "nf4": {"lora": True, "nf4": True},
}  # fmt: skip
_CUT_SHARE = 0.05  # of rows that lose their end: more is a warning, as in preflight
_KEPT = ("head", "multi_label")  # fields of a task that say what its rows are
_FITS = {"yes": "fit_yes", "with checkpointing": "fit_checkpointing", "no": "fit_no"}


class ModelTab:
    """The components of the tab, and what happens when one is changed.

    Args:
        gradio: The library.
        session: The folder and its jobs.
    """

    def __init__(self, gradio: Any, session: BoardSession):
        self.gradio, self.session = gradio, session
        label, prepared = session.language.label, session.folder.prepared()
        self.prepared = gradio.Dropdown(
            prepared, value=None, label=label("prepared"), elem_id="prepared"
        )
        self.facts = gradio.HTML(elem_id="facts")
        with gradio.Row():
            self.language = gradio.Dropdown(
                [(label(name), name) for name in LANGUAGES], value="fr", elem_id="text_language",
                label=label("text_language"), min_width=160, scale=1,
            )  # fmt: skip
            self.checkpoint = gradio.Dropdown(
                [], value=None, label=label("checkpoint"), info=label("checkpoint_help"),
                allow_custom_value=True, elem_id="checkpoint", min_width=280, scale=3,
            )  # fmt: skip
        self.method = gradio.Radio(
            [(label(f"method_{name}"), name) for name in METHODS], value="full",
            label=label("method"), elem_id="method",
        )  # fmt: skip
        self.fit = gradio.HTML(elem_id="fit", elem_classes="frtune-live")
        self._settings()
        self.name = gradio.Textbox(label=label("run_name"), elem_id="run_name", max_lines=1)
        self.config = gradio.HTML(elem_id="config")
        with gradio.Row():
            self.preflight = gradio.Button(label("preflight"), elem_id="preflight")
            self.start = gradio.Button(label("start"), variant="primary", elem_id="start")
        self.message = gradio.HTML(elem_id="model_message", elem_classes="frtune-live")

    def _settings(self) -> None:
        gradio, label = self.gradio, self.session.language.label
        self.fields, self.errors = [], []
        with gradio.Accordion(label("settings"), open=True, elem_id="settings"):
            self.usual_note = gradio.HTML(elem_id="usual_note")
            for start in range(0, len(MATTER), 2):
                with gradio.Row():
                    for name in MATTER[start : start + 2]:
                        with gradio.Column(min_width=280):
                            self.fields.append(gradio.Textbox(
                                label=label(name), info=label(f"why_{name}"), max_lines=1,
                                elem_id=f"set_{name}",
                            ))  # fmt: skip
                            self.errors.append(gradio.HTML(
                                elem_id=f"error_{name}", elem_classes="frtune-live",
                                padding=False, visible=False,
                            ))  # fmt: skip
        with gradio.Accordion(label("further"), open=False, elem_id="further_drawer"):
            self.further = gradio.Textbox(
                label=label("further"), info=label("further_help"), lines=4, max_lines=20,
                elem_id="further",
            )  # fmt: skip

    @property
    def given(self) -> list[Any]:
        """The components that say what is trained, and how."""
        return [self.prepared, self.checkpoint, self.method, self.name, self.further, *self.fields]

    @property
    def opened(self) -> list[Any]:
        """The components that ``open`` sets."""
        return [self.facts, self.checkpoint, self.name, self.usual_note, self.config, self.fit,
                self.message, *self.fields, *self.errors]  # fmt: skip

    def connect(self, train: Any) -> None:
        """Have the components act; ``train`` is the tab that shows what was started."""
        gradio = self.gradio
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        with_request(gradio, self.open, self.offer, self.planned, self.told, self.try_out,
                     self.queue)  # fmt: skip
        self.prepared.input(self.open, [self.prepared, self.language], self.opened, **quiet)
        self.language.input(self.offer, [self.prepared, self.language], [self.checkpoint], **quiet)
        rows, tokens = (
            self.fields[MATTER.index(name)]
            for name in ("per_device_train_batch_size", "max_source_tokens")
        )
        told = [self.config, *self.errors]
        plan = [self.prepared, self.checkpoint, rows, tokens]
        gradio.on([self.checkpoint.change, rows.blur, tokens.blur], self.planned, plan, [self.fit],
                  trigger_mode="always_last", **quiet)  # fmt: skip
        # what is pasted is a change, and no input
        changed = [self.checkpoint.change, self.method.input, self.name.change,
                   self.further.change, *(field.change for field in self.fields)]  # fmt: skip
        gradio.on(changed, self.told, self.given, told, trigger_mode="always_last", **quiet)
        self.preflight.click(self.try_out, self.given, [self.message], **quiet)
        self.start.click(self.queue, self.given, [self.message, train.run], **quiet)

    def refresh(self) -> Any:
        """The menu with the prepared data that are there now."""
        return self.gradio.Dropdown(choices=self.session.folder.prepared())

    def open(self, prepared: str | None, language: str, request: Any) -> list[Any]:
        """Say what prepared data hold, and offer models and the recipe's values."""
        gradio, say = self.gradio, self.session.say(request)
        nothing = [self._error("")] * len(self.errors)
        if not prepared:
            keep = [gradio.skip()] * (len(self.opened) - 1 - len(nothing))
            return [note_html(say("no_prepared")), *keep, *nothing]
        try:
            task, rows = self.task_of(prepared)
            name = self.session.folder.free_name(RUNS, os.path.basename(prepared))
        except Exception as error:
            keep = [gradio.skip()] * (len(self.opened) - 1 - len(nothing))
            return [self.session.told(error, say), *keep, *nothing]
        title = task_words(task.name, say)
        recipe = {
            key: "" if value is None else str(value) for key, value in usual(task.name).items()
        }
        fields = [gradio.Textbox(placeholder=recipe[key] or say("all_rows")) for key in MATTER]
        return [
            note_html(say("data_facts", task=title, rows=f"{rows:,}")),
            gradio.Dropdown(choices=self._choices(task, language, say), value=None), name,
            note_html(say("blank_is_usual")), "", "", "", *fields, *nothing,
        ]  # fmt: skip

    def task_of(self, prepared: str) -> tuple[Task, int]:
        """The task of prepared data, and the number of training rows.

        Raises:
            InputError: If the folder holds none.
        """
        name, options, rows = self._prepared(prepared)
        return task_class(name)(**options), rows

    def _prepared(self, prepared: str) -> tuple[str, dict[str, Any], int]:
        """Of prepared data the task's name, the fields that say what a row is, training rows."""
        path = self.session.folder.inside(prepared) / AUDIT
        try:
            audit = json.loads(path.read_text(encoding="utf-8"))
            settings, rows = audit["settings"], audit["splits"]["train"]["rows"]
            options = {name: settings[name] for name in _KEPT if settings.get(name)}
            task_class(settings["task"])(**options)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{prepared}: holds no prepared data. Write them again.") from error
        return settings["task"], options, rows

    def _choices(self, task: Task, language: str, say: Say) -> list[tuple[str, str]]:
        local = [(f"{name} ({say('here')})", name)
                 for name in local_checkpoints(self.session.folder)]  # fmt: skip
        known = checkpoints_for(type(task), language)
        return local + [(f"{c.name} ({c.millions:,} M, {c.kind})", c.name) for c in known]

    def offer(self, prepared: str | None, language: str, request: Any) -> Any:
        """The models of a language that the task can take."""
        if not prepared:
            return self.gradio.skip()
        task, _ = self.task_of(prepared)
        return self.gradio.Dropdown(
            choices=self._choices(task, language, self.session.say(request))
        )

    def planned(
        self, prepared: str | None, checkpoint: str | None, rows: str, tokens: str, request: Any
    ) -> str:
        """Which ways of training fit this machine, and how long the rows are, as HTML."""
        say = self.session.say(request)
        if not prepared or not checkpoint:
            return ""

        limit = typed(tokens)
        given = {"max_source_tokens": limit} if isinstance(limit, int) else {}

        def fit() -> str:
            task, _ = self.task_of(prepared)
            batch = typed(rows)
            usual_rows = usual(task.name)["per_device_train_batch_size"]
            planned = type(task).for_planning(**given)
            found = fits(
                self._start(checkpoint), planned, batch if isinstance(batch, int) else usual_rows
            )
            return _fit_html(found, say)

        def lengths() -> str:
            name, options, _ = self._prepared(prepared)
            task = task_class(name)(**{**options, **given})
            place = self.session.folder.inside(prepared)
            return _lengths_html(token_lengths(place, self._start(checkpoint), task), say)

        return self.session.attempt(fit, say) + self.session.attempt(lengths, say)

    def _start(self, checkpoint: str) -> str:
        """The checkpoint as a path of this machine where it is one, else its name on the hub."""
        folder = self.session.folder
        if checkpoint.startswith((".", "/", "~")) or ".." in checkpoint:
            return str(folder.inside(checkpoint))
        path = folder.root / checkpoint
        return str(folder.inside(checkpoint)) if os.path.lexists(path) else checkpoint

    def configured(
        self, prepared: str | None, checkpoint: str | None, method: str, name: str, further: str,
        *fields: str,
    ) -> tuple[Task, dict[str, Any]]:  # fmt: skip
        """The task and the ``config.yaml`` of what was chosen.

        Raises:
            InputError: If something is missing, outside the folder or of another form.
        """
        if not prepared:
            raise InputError("data: choose prepared data first.")
        task_name, options, _ = self._prepared(prepared)
        if not (checkpoint or "").strip():
            raise InputError("checkpoint: choose a model to start from.")
        self._start(checkpoint or "")
        given = {key: typed(text) for key, text in zip(MATTER, fields, strict=True)}
        more = checked_further(self.session.folder, further)
        config = run_config(
            prepared, (checkpoint or "").strip(), f"{RUNS}/{name.strip()}", options=options,
            given={**METHODS[method], **given, **more},
        )  # fmt: skip
        return task_class(task_name)(**options), config

    def told(self, request: Any, *given: Any) -> list[str]:
        """The command and its configuration, and what the gate says of each field, as HTML."""
        say = self.session.say(request)
        prepared, _, _, name, _, *fields = given
        if not prepared:
            return ["", *map(self._error, [""] * len(self.errors))]
        errors = [""] * len(self.errors)
        try:
            task, _ = self.task_of(prepared)
            errors = [
                self._field_error(task, key, text) for key, text in zip(MATTER, fields, strict=True)
            ]
            task, config = self.configured(*given)
            line = "" if any(errors) else complaint(self.session.gate, task.name, config)
        except InputError as error:
            return [self.session.told(error, say), *map(self._error, errors)]
        shown = self._command(task, config, name, say)
        shown += error_html(say("refused", line=line)) if line else ""
        return [shown, *map(self._error, errors)]

    def _error(self, line: str) -> Any:
        """What stands below a field; without an error nothing does."""
        return self.gradio.HTML(error_html(line) if line else "", visible=bool(line))

    def _field_error(self, task: Task, name: str, text: str) -> str:
        """What the gate says of one field by itself."""
        value = typed(text)
        if value is None:
            return ""
        return complaint(self.session.gate, task.name, {name: value})

    def _command(self, task: Task, config: dict[str, Any], name: str, say: Say) -> str:
        file = f"board/{name.strip()}.yaml"
        words = shell(["train", task.name, "--config", file])
        return parts.command(say("command"), words) + parts.command(
            say("config", name=file), yaml_text(config)
        )

    def _checked(self, given: Any) -> tuple[Task, dict[str, Any], str]:
        """The task and configuration that the gate let through, and the name of a new run."""
        task, config = self.configured(*given)
        if line := complaint(self.session.gate, task.name, config):
            raise InputError(line)
        name = self.session.folder.free_name(RUNS, given[3])
        return task, {**config, "output_dir": f"{RUNS}/{name}"}, name

    def try_out(self, request: Any, *given: Any) -> Iterator[str]:
        """Live through the run on a miniature: ``frtune preflight train``."""
        say, jobs = self.session.say(request), self.session.jobs
        try:
            task, config, name = self._checked(given)
            file = self.session.folder.write_config(f"preflight-{name}", config)
            words = ["preflight", "train", task.name, "--config", file]
            job = jobs.add(f"preflight-{name}", words)
        except Exception as error:
            yield self.session.scarce(say) or self.session.told(error, say)
            return
        for found in self.session.followed(job.name):
            job = found
            head = note_html(say("working_on_it", command=job.command))
            yield head + parts.log(say("log"), jobs.log(job.name, 40))
        line = jobs.error(job.name) or f"exit code {job.code}"
        passed = parts.done(say("preflight_passed"))
        end = passed if job.code == 0 else error_html(say("preflight_failed", line=line))
        yield end + parts.log(say("log"), jobs.log(job.name, 60))

    def queue(self, request: Any, *given: Any) -> list[Any]:
        """Put the run into the queue."""
        say = self.session.say(request)
        try:
            task, config, name = self._checked(given)
            file = self.session.folder.write_config(name, config)
            words = ["train", task.name, "--config", file]
            self.session.jobs.add(name, words, output=config["output_dir"], queued=True)
        except Exception as error:
            return [self.session.scarce(say) or self.session.told(error, say), self.gradio.skip()]
        runs = all_runs(self.session.folder, self.session.jobs)
        chosen = self.gradio.Dropdown(choices=runs, value=config["output_dir"])
        return [parts.done(say("started", name=name)), chosen]


def _fit_html(found: Plan, say: Say) -> str:
    """What fits on this one machine, without sharding."""
    options = [option for option in found.options if option.sharding == "none"]
    rows = [
        [say(f"method_{option.method}"), size_text(option.peak), say(_FITS[option.fits])]
        for option in options
    ]
    device = found.gpu or "GPU" if has_accelerator() else processor()
    head = say("fits", memory=size_text(found.gpu_bytes), device=device, rows=found.step.rows)
    return note_html(head) + parts.table([say("method"), say("memory", size=""), ""], rows)


def _lengths_html(found: TokenLengths, say: Say) -> str:
    """How long the rows are; a warning where many lose their end."""
    told = say("token_lengths", counted=f"{found.counted:,}", median=f"{found.median:,}",
               longest=f"{found.longest:,}")  # fmt: skip
    key = "tokens_cut" if found.longer else "tokens_fit"
    cut = say(key, longer=f"{found.longer:,}", limit=f"{found.limit:,}")
    html = warning_html if found.longer > _CUT_SHARE * found.counted else note_html
    return html(f"{told} {cut}")
