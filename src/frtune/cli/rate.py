"""``frtune rate RUN... --data X``: a page where people judge predictions, blind; a report."""

from __future__ import annotations

import argparse
import sys

from frtune.cli import EXIT_DONE, Parser
from frtune.errors import InputError
from frtune.rating.app import build_page
from frtune.rating.report import rating_report, report_markdown, write_report
from frtune.rating.sources import make_study, summary
from frtune.rating.store import RatingStore
from frtune.rating.study import parse_scale
from frtune.rating.translations import WORDS
from frtune.tasks.highlight import CSS
from frtune.web.launch import add_server_options, load_gradio, private_folder, serve, server_of
from frtune.web.translations import PageLanguage


def _parser() -> argparse.ArgumentParser:

    parser = Parser(
        prog="frtune rate",
        description="Serve a local page where people judge the phrases of runs without knowing "
        "whose they are. Answers go to one file; the same command goes on with it.",
        epilog="then: frtune rate --output ratings.sqlite --report DIR --export ratings.csv",
    )
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="model directory or evaluation with "
        "predictions.jsonl, or a file of frtune predict; keyphrases or keywords")  # fmt: skip
    add("--output", required=True, metavar="FILE", help="file of the ratings, such as "
        "ratings.sqlite; made if it is not there")  # fmt: skip
    add("--data", metavar="X", help="rows to judge, with their true phrases (default: those of the "
        "first run)")  # fmt: skip
    add("--text-column", help="column with the text (default: as the first run's task)")
    add("--keyphrases-column", help="column with the true phrases (the same)")
    add("--max-rows", type=int, metavar="N", help="judge so many, after a seeded shuffle")
    add("--with-reference", action="store_true", help="let raters judge the true phrases too")
    add("--mode", choices=["score", "prefer"], default="score", help="grade each list, or choose "
        "the best (score)")  # fmt: skip
    add("--scale", nargs="+", default=["1", "2", "3", "4", "5"], metavar="N", help="grades from "
        "worst to best: 1 2 3, or 1=bad 2=good (1 2 3 4 5)")  # fmt: skip
    add("--question", help="what raters are asked (default: in their language)")
    add("--seed", type=int, default=42, help="of the order of rows and runs (42)")
    add = parser.add_argument_group("answers").add_argument
    add(
        "--report", metavar="DIR", help="write ratings.md and ratings.json there, and serve nothing"
    )
    add("--export", metavar="FILE", help="write the answers to this new CSV, and serve nothing")
    add("--k", type=int, default=10, help="cut of the automatic F1 at K (10)")
    add("--score-language", metavar="CODE", help="two-letter code: adds the F1 of stems")
    add("--encoder", metavar="CHECKPOINT", help="adds the semantic F1 by this encoder")
    add_server_options(parser)
    return parser


def main(argv: list[str]) -> int:
    """Parse ``argv``; serve the page until Ctrl-C, or write report and table."""
    chosen = _parser().parse(argv)  # type: ignore[attr-defined]
    if chosen.report or chosen.export:
        if chosen.runs:
            raise InputError("RUN: --report and --export read --output alone. Leave the runs out.")
        return _evaluate(chosen)
    if not chosen.runs:
        raise InputError("RUN: name one or more, or ask for --report or --export.")
    return _serve(chosen)


def _evaluate(chosen: argparse.Namespace) -> int:

    store = RatingStore(chosen.output)
    if chosen.export:
        print(f"{store.export(chosen.export)} rows written to {chosen.export}")
    if chosen.report:
        report = rating_report(
            store, k=chosen.k, language=chosen.score_language, encoder=chosen.encoder
        )
        write_report(report, chosen.report)
        print(report_markdown(report))
        print(f"report: {chosen.report}/ratings.md")
    return EXIT_DONE


def _serve(chosen: argparse.Namespace) -> int:

    server = server_of(chosen)
    load_gradio()  # says at once if it is missing
    study = make_study(
        chosen.runs,
        chosen.data,
        max_rows=chosen.max_rows,
        with_reference=chosen.with_reference,
        seed=chosen.seed,
        columns={"text": chosen.text_column, "keyphrases": chosen.keyphrases_column},
        mode=chosen.mode,
        scale=parse_scale(chosen.scale),
        question=chosen.question,
    )
    store = RatingStore.create(chosen.output, study)
    language = PageLanguage(WORDS, chosen.language)
    print(summary(study))
    if server.is_open:
        sys.stderr.write("frtune: everyone who reaches this page can rate under any name; --auth "
                         "asks for a password\n")  # fmt: skip
    with private_folder():
        page = build_page(store, language, signed_in=server.auth is not None)
        for address in serve(page, server, language, css=CSS):
            print(f"{address} (Ctrl-C ends it)", flush=True)
    answers = len(store.judgements())
    print(
        f"{answers} answers in {chosen.output}; frtune rate --output {chosen.output} --report DIR"
    )
    return EXIT_DONE
