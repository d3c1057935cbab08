"""``frtune label``: labels texts with an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frtune.cli import EXIT_DONE, EXIT_FAILED
from frtune.cli.arguments import Parser, made, options_of
from frtune.errors import InputError
from frtune.labelling.budget import Budget
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.prompts import LabelJob
from frtune.labelling.run import beside, estimate, label
from frtune.labelling.steps import RAISED


@dataclass(frozen=True)
class Options:
    """What is labelled, and where the labels go.

    Attributes:
        data: CSV, TSV, JSON, JSONL or Parquet file, or .txt: one a line; sample.
        output: File to write, NAME.jsonl; must be new. NAME.answers.jsonl, NAME.rejected.jsonl and
            NAME.report.json stand beside it.
        encoding: Encoding of the file (default: UTF-8, or the BOM's).
        text_columns: Columns of CSV, TSV and Excel files whose cells stay text.
        max_rows: Label only the first N rows.
        dry_run: Show the first prompts and the estimated cost; send nothing.
        partial: Write the rows that have an answer, also if the run stopped early.
        template: Text file with the prompt; {text}, {count} and {labels} are filled in.
    """

    data: str = field(metadata={"metavar": "X"})
    output: str = field(metadata={"metavar": "Y"})
    encoding: str | None = None
    text_columns: list[str] | None = None
    max_rows: int | None = None
    dry_run: bool = False
    partial: bool = False
    template: str | None = field(default=None, metadata={"metavar": "FILE"})


def _parser() -> Parser:
    parser = Parser(
        prog="frtune label",
        description="Ask a language model for the keyphrases or the class of each text. Every "
        "answer is saved at once. The same command continues a run that stopped, and "
        "pays for no answer twice.",
        epilog="example: frtune label texts.csv --output labelled.jsonl --base-url "
        "http://localhost:8000/v1 --model my-model --dry-run",
    )
    own = options_of(Options, positional=["data"])
    job = options_of(LabelJob) | {"template": own.pop("template")}
    endpoint, budget = options_of(Endpoint), options_of(Budget)
    del endpoint["backoff_seconds"]
    parameters = endpoint["parameters"][0]
    parameters.type, parameters.default = str, '{"temperature": 0}'
    parameters.metavar = "JSON"
    for name in ("tokens", "cost"):
        limit = budget[name][0]
        limit.dest, limit.option_strings = f"budget_{name}", [f"--budget-{name}"]
    parser.add_options("texts and labels", own)
    parser.add_options("what to ask", job)
    parser.add_options("endpoint", endpoint)
    parser.add_options("cost", budget)
    return parser


def main(argv: list[str]) -> int:
    """Parse ``argv``, label, print a summary."""
    chosen = _parser().parse(argv)
    common = {
        "job": made(LabelJob, chosen, template=_template(chosen.template)),
        "endpoint": made(Endpoint, chosen, parameters=_parameters(chosen.parameters)),
        "budget": made(Budget, chosen, tokens=chosen.budget_tokens, cost=chosen.budget_cost),
        "encoding": chosen.encoding,
        "text_columns": chosen.text_columns,
        "max_rows": chosen.max_rows,
    }
    if chosen.dry_run:
        _show_estimate(estimate(chosen.data, chosen.output, **common))
        return EXIT_DONE
    return _show(label(chosen.data, chosen.output, **common, partial=chosen.partial), chosen.output)


def _template(path: str | None) -> str | None:
    try:
        return None if path is None else Path(path).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--template {path}: cannot be read ({error}).") from None


def _parameters(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"--parameters: is not JSON ({error}).") from None


def _show_estimate(found: dict[str, Any]) -> None:
    for number, prompt in enumerate(found["prompts"], start=1):
        print(f"--- prompt {number}\n{prompt}")
    print(f"---\n{found['rows']:,} rows, {found['requests']:,} requests to send")
    for kind in ("input", "output"):
        print(f"{kind} tokens: about {found[f'{kind}_tokens']:,}, "
              f"at most {found[f'most_{kind}_tokens']:,}")  # fmt: skip
    if found["cost"] is None:
        print("cost: not known; pass --price-input and --price-output for a million tokens")
    else:
        print(f"cost: about {found['cost']:.4f}, at most {found['most_cost']:.4f}")


def _show(report: dict[str, Any], output: str) -> int:
    rows, answers, spent = report["rows"], report["answers"], report["spent"]
    print(f"{rows['read']} rows read: {rows['labelled']} labelled, {rows['rejected']} without")
    for reason, count in report["rejected"].items():
        print(f"  {count} {reason}")
    print(f"answers: {answers['repaired']} repaired, {answers['asked_again']} asked again")
    if "keyphrases" in report and report["keyphrases"]["absent_share"] is not None:
        print(f"phrases that are not in the text: {report['keyphrases']['absent_share']:.1%}")
    for name, value in report.get("agreement", {}).items():
        print(f"agreement of the passes, {name}: {value}")
    cost = "" if spent["cost"] is None else f", cost {spent['cost']:.4f}"
    print(f"spent: {spent['input_tokens']:,} tokens read, {spent['output_tokens']:,} written{cost}")
    for note in report["notes"]:
        print(f"note: {note}")
    if Path(output).exists():
        print(f"written to {output}")
    if report["complete"] and rows["labelled"]:
        return EXIT_DONE
    sys.stdout.flush()
    sys.stderr.write(f"frtune: {_why(report, beside(Path(output), 'rejected.jsonl'))}\n")
    return EXIT_FAILED


def _why(report: dict[str, Any], rejected: Path) -> str:
    """Why not all is done, and what to do."""
    if report["stopped"] == "budget":
        return (
            "stopped: the next request could pass the budget. Raise it; the same command continues "
            "from here."
        )
    if report["stopped"] == "endpoint":
        check = "" if report["requests"]["answered"] else " Check the server and --base-url."
        return f"stopped: {report['detail']}.{check} The same command continues from here."
    if report["stopped"] == "limit":
        limit = RAISED * report["settings"]["endpoint"]["max_output_tokens"]
        return (
            f"stopped: answers end at the limit of {limit:,} tokens before they say anything, as "
            f"those of models that reason do. Raise it (--max-output-tokens {4 * limit}), or have "
            "the model reason less, as its server's manual says."
        )
    with open(rejected, encoding="utf-8") as lines:
        first = json.loads(lines.readline())
    detail = " ".join(first["detail"].split())[:200]
    return (
        f"no row could be labelled (the first: {first['reason']}: {detail}). "
        f"{rejected} has them all."
    )
