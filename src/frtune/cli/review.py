"""``frtune review DATA --task T``: which labels are probably wrong; a page that mends them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from frtune.cli.arguments import Parser, options_of
from frtune.cli.page import add_page_options, serve_page, server_of
from frtune.cli.train_arguments import parse_train_arguments
from frtune.errors import InputError
from frtune.files import locked
from frtune.review.app import build_page
from frtune.review.folder import CORRECTED, TABLE
from frtune.review.review import Review, review
from frtune.review.translations import WORDS
from frtune.tasks.config_file import task_names
from frtune.web.launch import load_gradio
from frtune.web.translations import LANGUAGES, PageLanguage

# of a run, what a review does by itself or has no use for
WITHOUT = ("resume", "merge", "curve_rows")


@dataclass(frozen=True)
class Options:
    """What is reviewed.

    Attributes:
        data: File, folder, hub name, or 'sample'; test rows are left out.
        task: keyphrases, keywords, similarity or classification.
        checkpoint: Model to train on the folds: hub name, directory, or 'tiny' (with 'sample').
        output: Where the table, the decisions and the corrected data go.
        folds: Number of models; each predicts the rows that it was not trained on.
        defuse: Write cells that look like formulas of a spreadsheet unchanged (default: with a '
            before them).
        page: End with the table, and serve no page.
        page_language: Of the page (default: as the browser asks).
    """

    data: str = field(metadata={"metavar": "DATA"})
    task: str = field(metadata={"choices": task_names(), "metavar": "TASK"})
    checkpoint: str | None = None
    output: str = field(default="runs/review", metadata={"metavar": "DIR"})
    folds: int = 5
    defuse: bool = True
    page: bool = True
    page_language: str | None = field(default=None, metadata={"choices": LANGUAGES})


def _parser(*, add_help: bool) -> Parser:
    parser = Parser(
        prog="frtune review",
        usage="frtune review DATA --task TASK [options]",
        add_help=add_help,
        description="Find labels that are probably wrong, with models that were not trained on "
        "them. Then serve a local page to keep, change or drop these labels. The same "
        "command continues where it was stopped.",
        epilog="Further options are those of frtune train TASK, for the models: "
        "frtune train TASK --help.",
    )
    own = options_of(Options, positional=["data"])
    parser.add_options("review", own)
    # --language is a setting of a task
    add_page_options(parser, without=["language"])
    return parser


def main(argv: list[str]) -> None:
    """Parse ``argv``, review, serve the page until Ctrl-C."""
    asked = not argv or bool({"-h", "--help"} & {*argv})
    if not asked and argv[0].startswith("-"):
        raise InputError(f"frtune review {argv[0]}: name the data first.")
    chosen, flags = _parser(add_help=asked).parse_some(argv)
    server = server_of(chosen)
    make = partial(_make, chosen, flags)
    make(chosen.output)  # a bad flag is told before anything is loaded
    if chosen.page:
        load_gradio()  # says at once if it is missing
    found = review(make, chosen.output, folds=chosen.folds, defuse=chosen.defuse)
    _tell(found)
    if not chosen.page:
        return
    language = PageLanguage(WORDS, chosen.page_language)
    with locked(found.directory):  # two pages would undo one another's decisions
        build = partial(build_page, found, language)
        serve_page(build, server, language, may="change the labels")
    where = f"{found.directory}/{CORRECTED}"
    print(f"{len(found.decisions())} rows decided; what was saved stands in {where}")


def _make(chosen: argparse.Namespace, flags: Sequence[str], output_dir: str) -> tuple[Any, ...]:
    """Task, settings and arguments of a model of one fold."""
    given = ["--data", chosen.data, "--output-dir", output_dir, *flags]
    if chosen.checkpoint is not None:
        given += ["--checkpoint", chosen.checkpoint]
    return parse_train_arguments(chosen.task, given, without=WITHOUT)


def _tell(found: Review) -> None:
    for row in found.rows[:5]:
        if row.reasons:
            print(f"row {row.number} of {row.split}, labelled {row.label}: {row.why}")
    same = sum(row.suggestion is None for row in found.rows) / len(found.rows)
    print(f"models that did not learn a row agree with its label in {same:.0%} of the rows")
    print(f"{found.doubted} of {len(found.rows)} labels are doubtful: {found.directory}/{TABLE}")
