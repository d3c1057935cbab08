"""Pages that mkdocs fills in: the commands from their parsers, the API from its public names.

Links to files outside docs/ hold on a code host; on the site they become the name of the file.
"""

from __future__ import annotations

import contextlib
import html
import inspect
import io
import os
import re
from pathlib import Path
from typing import Any

OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")
COMMANDS = "<!-- commands -->"
API = "<!-- api -->"


def on_config(config: Any) -> Any:
    """Put pages that the menu does not name at its end, under ``More``."""
    listed = set(re.findall(r"[\w-]+\.md", str(config.nav)))
    pages = sorted(path.name for path in Path(config.docs_dir).glob("*.md"))
    if more := [name for name in pages if name not in listed]:
        config.nav.append({"More": more})
    return config


def on_page_markdown(markdown: str, **_: object) -> str:
    """Fill in what a page leaves to be generated."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    if API in markdown:
        markdown = markdown.replace(API, api())
    return OUTSIDE.sub(lambda found: f"{found[1]} (`{found[2].removeprefix('../')}`)", markdown)


def commands() -> str:
    """Each command with what its ``--help`` says."""
    from frtune.cli import COMMANDS as NAMES

    parts = [f"```text\n{help_of([])}```\n"]
    for name, what in NAMES.items():
        parts.append(f"## frtune {name}\n\n{what[0].upper()}{what[1:]}.\n")
        if name != "train":
            parts.append(f"```text\n{help_of([name])}```\n")
        else:
            parts += train()
    return "\n".join(parts)


def help_of(argv: list[str]) -> str:
    """What ``frtune ARGV --help`` prints, 84 columns wide."""
    from frtune.cli import main

    os.environ["COLUMNS"] = "84"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*argv, "--help"])
    return printed.getvalue()


def train() -> list[str]:
    """The options of ``frtune train``: a run's, and each task's; the Trainer's have their page."""
    from frtune.cli.arguments import documented
    from frtune.run.settings import RunSettings
    from frtune.tasks.config_file import task_class, task_names

    parts = [
        "`frtune train TASK [options]`. Every field of `Seq2SeqTrainingArguments` is an option "
        "too, under its own name (`--learning-rate 3e-5`), and described in the documentation of "
        "Transformers. `--config FILE.yaml` reads options from a file, `--seeds N` runs several "
        "seeds, `--learning-curve` trains on growing shares of the rows.\n",
        "### Options of every task\n",
        table(RunSettings, documented(RunSettings)),
    ]
    for name in task_names():
        parts += [f"### Options of {name}\n", table(task_class(name), documented(task_class(name)))]
    return parts


def table(cls: type, texts: dict[str, str]) -> str:
    """Option, default and meaning of each field."""
    from argparse import SUPPRESS
    from dataclasses import fields

    rows = ["| option | default | |", "| --- | --- | --- |"]
    for item in fields(cls):
        if item.metadata.get("help") == SUPPRESS:
            continue
        default = "" if item.default is None else f"`{item.default!r}`"
        text = html.escape(texts.get(item.name, "").replace("``", "`"), quote=False)
        text = text.replace("|", "\\|")
        rows.append(f"| `--{item.name.replace('_', '-')}` | {default} | {text} |")
    return "\n".join(rows) + "\n"


def api() -> str:
    """A heading and a mkdocstrings block for each public name, and for the scores."""
    import frtune
    from frtune import metrics

    parts = ["## frtune\n"]
    for name in frtune.__all__:
        if name != "__version__":
            parts.append(f"::: {getattr(frtune, name).__module__}.{name}\n")
    parts.append("## frtune.metrics\n")
    found = {name: getattr(metrics, name) for name in metrics.__all__}
    parts += [
        f"::: {score.__module__}.{name}\n"
        for name, score in found.items()
        if not inspect.ismodule(score)
    ]
    return "\n".join(parts)
