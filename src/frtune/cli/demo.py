"""``frtune demo DIR``: a local page on which saved models answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from datasets import disable_progress_bars

from frtune.cli.arguments import Parser, options_of
from frtune.cli.page import add_page_options, serve_page, server_of
from frtune.demo.app import build_page
from frtune.demo.models import open_models
from frtune.demo.translations import WORDS
from frtune.errors import InputError
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage


@dataclass(frozen=True)
class Options:
    """What the page answers with, and to what.

    Attributes:
        directories: Model directory, as frtune train writes it.
        examples: File with examples (default: the first test rows of each model).
        max_characters: Longest text.
        max_file_mb: Largest file in MB.
        defuse: Write cells that look like formulas of a spreadsheet unchanged (default: with a '
            before them).
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, if the family allows it).
    """

    directories: list[str] = field(metadata={"metavar": "DIR"})
    examples: list[str] = field(default_factory=list, metadata={"metavar": "FILE"})
    max_characters: int = 20_000
    max_file_mb: float = field(default=10.0, metadata={"metavar": "N"})
    defuse: bool = True
    bf16: bool | None = None
    fp16: bool | None = None


def main(argv: list[str]) -> None:
    """Parse ``argv``, open the models, serve the page until Ctrl-C."""
    parser = Parser(
        prog="frtune demo",
        description="Serve a local page on which saved models answer: a text, or a file; one "
        "model, or two side by side. It needs no internet.",
    )
    parser.add_options("models and texts", options_of(Options, positional=["directories"]))
    add_page_options(parser)
    chosen = parser.parse(argv)
    if not chosen.max_file_mb > 0:
        raise InputError(f"--max-file-mb {chosen.max_file_mb}: more than 0.")
    server = server_of(chosen, max_file_bytes=int(chosen.max_file_mb * 1_000_000))
    load_gradio()  # says at once if it is missing

    given = {name: getattr(chosen, name) for name in ("max_characters", "examples", "bf16", "fp16")}
    models = open_models(chosen.directories, **given)
    disable_progress_bars()  # one for each request, in the terminal
    language = PageLanguage(WORDS, chosen.language)
    build = partial(build_page, models, language, defuse=chosen.defuse)
    name = f"{', '.join(models)}: "
    serve_page(build, server, language, may="use it", name=name, footer=["api"])
