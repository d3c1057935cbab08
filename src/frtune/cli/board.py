"""``frtune board [FOLDER]``: one local page from a file to a model in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from datasets import disable_progress_bars

from frtune.board.app import build_page
from frtune.board.folder import BoardFolder
from frtune.board.parts import CSS
from frtune.board.translations import WORDS
from frtune.cli import COMMANDS
from frtune.cli.arguments import Parser, options_of
from frtune.cli.page import add_page_options, serve_page, server_of
from frtune.cli.train import SeedOptions
from frtune.cli.train_arguments import parse_train_arguments
from frtune.errors import InputError
from frtune.files import draft_folder, yaml_text
from frtune.run.settings import check_settings
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage


@dataclass(frozen=True)
class Options:
    """What the page works in.

    Attributes:
        folder: Where data, runs and all that the page writes are (default: here).
        max_file_mb: Largest upload in MB.
    """

    folder: str = field(default=".", metadata={"metavar": "FOLDER", "nargs": "?"})
    max_file_mb: float = field(default=500.0, metadata={"metavar": "N"})


def main(argv: list[str]) -> None:
    """Parse ``argv``, serve the page until Ctrl-C; what it started goes on."""
    parser = Parser(
        prog="frtune board",
        description="Serve a local page for a whole project, from a file to a trained model in "
        "use: prepare data, choose model and settings, train, compare, try. Each step "
        "shows the command that it runs. Runs are processes of their own: they "
        "continue when the page ends, and it finds them again.",
    )
    own = options_of(Options, positional=["folder"])
    own["folder"][0].nargs, own["folder"][0].required = "?", False
    parser.add_options("folder", own)
    add_page_options(parser)
    chosen = parser.parse(argv)
    if not chosen.max_file_mb > 0:
        raise InputError(f"--max-file-mb {chosen.max_file_mb}: more than 0.")
    server = server_of(chosen, max_file_bytes=int(chosen.max_file_mb * 1_000_000))
    folder = BoardFolder(chosen.folder)
    load_gradio()  # says at once if it is missing
    disable_progress_bars()  # one for each look at a file, in the terminal
    language = PageLanguage(WORDS, chosen.language)
    build = partial(build_page, folder.root, language, gate=check_config, commands=offered())
    may = "run frtune on this machine, and read and write the folder"
    serve_page(build, server, language, may=may, name="frtune board: ", css=CSS)


def offered() -> set[str]:
    """What can be done next: the commands, and "curve" where ``train`` draws learning curves."""
    curve = any(item.name == "learning_curve" for item in fields(SeedOptions))
    return {*COMMANDS, *(["curve"] if curve else [])}


def check_config(task: str, config: Mapping[str, Any]) -> Any:
    """Take a configuration as ``frtune train TASK --config FILE`` does.

    Raises:
        InputError: As the command, without the name of the file.
    """
    with draft_folder() as place:
        path = place / "config.yaml"
        path.write_text(yaml_text(config), encoding="utf-8")
        try:
            found = parse_train_arguments(task, ["--config", str(path)], extra=SeedOptions)
            check_settings(found[1], found[2], found[0], here=False)
        except InputError as error:
            raise InputError(str(error).replace(f"--config {path}: ", "")) from None
    return found
