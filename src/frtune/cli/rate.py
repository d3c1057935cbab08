"""``frtune rate RUN... --data X``: a page where people judge predictions, blind; a report."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Literal

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions
from frtune.cli.page import add_page_options, serve_page, server_of
from frtune.errors import InputError
from frtune.outputs import check_output_directory, check_output_file
from frtune.rating.app import build_page
from frtune.rating.report import rating_report, report_markdown, write_report
from frtune.rating.sources import make_study, summary
from frtune.rating.store import RatingStore
from frtune.rating.study import parse_scale
from frtune.rating.translations import WORDS
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage


@dataclass(frozen=True)
class Options:
    """What is judged, and how; or which report is written.

    Attributes:
        runs: Model directory or evaluation with predictions.jsonl, or a file of frtune predict;
            keyphrases or keywords.
        output: File of the ratings, such as ratings.sqlite; made if it is not there.
        data: Rows to judge, with their true phrases (default: those of the first run).
        text_column: Column with the text (default: that of the first run's task).
        keyphrases_column: Column with the true phrases (default: that of the first run's task).
        separator: Separator between phrases (default: that of the first run's task).
        keyphrase_field: Field with the phrase, where the column has objects.
        max_rows: Number of rows to judge, drawn with a seed.
        with_reference: Let raters judge the true phrases too.
        mode: Grade each list (score), or choose the best (prefer).
        scale: Grades from worst to best: 1 2 3, or 1=bad 2=good.
        question: Question to the raters (default: in their language).
        seed: Seed of the order of rows and runs.
        report: Write ratings.md and ratings.json there, and serve nothing.
        export: Write the answers to this new CSV, and serve nothing.
        defuse: Write cells that look like formulas of a spreadsheet unchanged (default: with a '
            before them).
        k: Cut of the automatic F1 at K.
        score_language: Two-letter code: adds the F1 of stems.
        encoder: Adds the semantic F1 by this encoder.
    """

    runs: list[str] = field(metadata={"metavar": "RUN"})
    output: str = field(metadata={"metavar": "FILE"})
    data: str | None = field(default=None, metadata={"metavar": "X"})
    text_column: str | None = None
    keyphrases_column: str | None = None
    separator: str | None = None
    keyphrase_field: str | None = None
    max_rows: int | None = None
    with_reference: bool = False
    mode: Literal["score", "prefer"] = "score"
    scale: list[str] = field(default_factory=lambda: ["1", "2", "3", "4", "5"],
                             metadata={"metavar": "N"})  # fmt: skip
    question: str | None = None
    seed: int = 42
    report: str | None = field(default=None, metadata={"metavar": "DIR"})
    export: str | None = field(default=None, metadata={"metavar": "FILE"})
    defuse: bool = True
    k: int = 10
    score_language: str | None = field(default=None, metadata={"metavar": "CODE"})
    encoder: str | None = field(default=None, metadata={"metavar": "CHECKPOINT"})


def _parser() -> Parser:
    parser = Parser(
        prog="frtune rate",
        description="Serve a local page where people judge the phrases of runs without knowing "
        "which run wrote them. The answers are saved in one file; the same command "
        "continues with it.",
        epilog="then: frtune rate --output ratings.sqlite --report DIR --export ratings.csv",
    )
    own = options_of(Options, positional=["runs"])
    own["runs"][0].nargs = "*"
    own["runs"][0].required = False
    answers = ["report", "export", "defuse", "k", "score_language", "encoder"]
    judged = [name for name in own if name not in answers]
    parser.add_options("what to judge", own, judged)
    parser.add_options("how the rows are read", options_of(ReadingOptions))
    parser.add_options("answers", own, answers)
    add_page_options(parser)
    return parser


def main(argv: list[str]) -> None:
    """Parse ``argv``; serve the page until Ctrl-C, or write report and table."""
    chosen = _parser().parse(argv)
    if chosen.report is not None or chosen.export is not None:
        if chosen.runs:
            raise InputError("RUN: --report and --export read --output alone. Leave the runs out.")
        return _evaluate(chosen)
    if not chosen.runs:
        raise InputError("RUN: name one or more, or ask for --report or --export.")
    return _serve(chosen)


def _evaluate(chosen: argparse.Namespace) -> None:
    store = RatingStore(chosen.output)
    if chosen.export is not None:
        check_output_file(chosen.export, "--export")
    if chosen.report is not None:
        check_output_directory(chosen.report, "--report")
    if chosen.export:
        print(
            f"{store.export(chosen.export, defuse=chosen.defuse)} rows written to {chosen.export}"
        )
    if chosen.report:
        metrics = {"language": chosen.score_language, "encoder": chosen.encoder}
        report = rating_report(store, k=chosen.k, **metrics)
        write_report(report, chosen.report)
        print(report_markdown(report))
        print(f"report: {chosen.report}/ratings.md")


def _serve(chosen: argparse.Namespace) -> None:
    check_output_file(chosen.output, "--output", new=False)
    server = server_of(chosen)
    load_gradio()  # says at once if it is missing
    given = ("max_rows", "with_reference", "seed", "mode", "question")
    study = make_study(
        chosen.runs,
        chosen.data,
        columns={
            "text": chosen.text_column,
            "keyphrases": chosen.keyphrases_column,
            "separator": chosen.separator,
            "field": chosen.keyphrase_field,
        },
        reading=asdict(made(ReadingOptions, chosen)),
        scale=parse_scale(chosen.scale),
        **{name: getattr(chosen, name) for name in given},
    )
    store = RatingStore.create(chosen.output, study)
    language = PageLanguage(WORDS, chosen.language)
    print(summary(study))
    build = partial(build_page, store, language, signed_in=server.auth is not None)
    serve_page(build, server, language, may="rate under any name")
    answers, output = len(store.judgements()), chosen.output
    print(f"{answers} answers in {output}; frtune rate --output {output} --report DIR")
