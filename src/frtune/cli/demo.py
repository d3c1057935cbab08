"""``frtune demo DIR``: a local page on which saved models answer."""

from __future__ import annotations

import sys

from datasets import disable_progress_bars

from frtune.cli import EXIT_DONE, Parser
from frtune.demo.app import build_page
from frtune.demo.models import open_models
from frtune.demo.translations import WORDS
from frtune.errors import InputError
from frtune.tasks.highlight import CSS
from frtune.web.launch import add_server_options, load_gradio, private_folder, serve, server_of
from frtune.web.translations import PageLanguage


def main(argv: list[str]) -> int:
    """Parse ``argv``, open the models, serve the page until Ctrl-C."""
    parser = Parser(
        prog="frtune demo",
        description="Serve a local page on which saved models answer: a text, or a file; one "
        "model, or two side by side. It needs no internet.",
    )
    add = parser.add_argument
    add("directories", nargs="+", metavar="DIR", help="what frtune train left")
    add("--examples", nargs="+", default=[], metavar="FILE", help="rows to click (default: the "
        "first test rows of each model)")  # fmt: skip
    add("--max-characters", type=int, default=20_000, metavar="N", help="longest text (20000)")
    add("--max-file-mb", type=float, default=10.0, metavar="N", help="largest file in MB (10)")
    add_server_options(parser)
    chosen = parser.parse(argv)
    if not chosen.max_file_mb > 0:
        raise InputError(f"--max-file-mb {chosen.max_file_mb}: more than 0.")
    server = server_of(chosen, max_file_bytes=int(chosen.max_file_mb * 1_000_000))
    load_gradio()  # says at once if it is missing

    models = open_models(
        chosen.directories, max_characters=chosen.max_characters, examples=chosen.examples
    )
    disable_progress_bars()  # one for each request, in the terminal
    language = PageLanguage(WORDS, chosen.language)
    if server.is_open:
        sys.stderr.write("frtune: everyone who reaches this page can use it; --auth asks for a "
                         "password\n")  # fmt: skip
    with private_folder():
        page = build_page(models, language)
        for address in serve(page, server, language, css=CSS, footer=["api"]):
            print(f"{', '.join(models)}: {address} (Ctrl-C ends it)", flush=True)
    return EXIT_DONE
