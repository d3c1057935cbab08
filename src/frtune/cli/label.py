"""``frtune label``: labels texts with an OpenAI-compatible endpoint."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from frtune.cli import EXIT_DONE, EXIT_FAILED, Parser
from frtune.errors import InputError
from frtune.labelling.budget import Budget
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.prompts import LabelJob
from frtune.labelling.run import beside, estimate, label

_JOB = ("task", "labels", "count", "language", "absent_phrases", "text_column", "title_column",
        "output_column", "passes")  # fmt: skip
_ENDPOINT = ("base_url", "model", "key_env", "concurrency", "timeout_seconds", "retries",
             "max_output_tokens", "output_limit_name")  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="frtune label",
        description="Ask a language model for the keyphrases or the class of each text. Every "
        "answer is kept at once: the same command goes on where a run stopped, and pays for no "
        "answer twice.",
        epilog="example: frtune label texts.csv --output labelled.jsonl --base-url "
        "http://localhost:8000/v1 --model my-model --dry-run",
    )
    add = parser.add_argument
    add("data", metavar="X", help="CSV, TSV, JSON, JSONL or Parquet file, or .txt: one a line; "
        "sample")  # fmt: skip
    add("--output", required=True, metavar="Y", help="file to write, NAME.jsonl; must be new. "
        "NAME.answers.jsonl, NAME.rejected.jsonl and NAME.report.json stand beside it")  # fmt: skip
    add("--encoding", help="encoding of the file (default: UTF-8, or the BOM's)")
    add("--max-rows", type=int, metavar="N", help="label the first so many rows")
    add("--dry-run", action="store_true", help="show the first prompts and the estimated cost; "
        "ask nothing")  # fmt: skip
    add("--partial", action="store_true", help="write the rows that have an answer also when the "
        "budget or the endpoint stopped the run")  # fmt: skip
    _add_job(parser.add_argument_group("what to ask").add_argument)
    _add_endpoint(parser.add_argument_group("whom to ask").add_argument)
    add = parser.add_argument_group("cost").add_argument
    add("--price-input", type=float, metavar="P", help="price of a million tokens read")
    add("--price-output", type=float, metavar="P", help="price of a million tokens written")
    add("--budget-tokens", type=int, metavar="N", help="stop before so many tokens are passed")
    add("--budget-cost", type=float, metavar="C", help="stop before this cost is passed")
    return parser


def _add_job(add: Any) -> None:
    add("--task", choices=["keyphrases", "classification"], default="keyphrases",
        help="what to ask for (keyphrases)")  # fmt: skip
    add("--labels", nargs="+", metavar="L", help="the classes, for classification")
    add("--count", type=int, default=10, metavar="N", help="most keyphrases of a text (10)")
    add("--template", metavar="FILE", help="text file with the prompt; {text}, {count} and "
        "{labels} are filled in")  # fmt: skip
    add("--language", help="two-letter code: look for phrases in the text by their stems")
    add("--absent-phrases", choices=["keep", "drop", "again"], default="keep",
        help="phrases that are not in the text: keep them, drop them, or ask again once and then "
        "drop them (keep)")  # fmt: skip
    add("--text-column", default="text", help="column with the text (text)")
    add("--title-column", help="column with a title that is put before the text")
    add("--output-column", help="column to write (keyphrases, or label)")
    add("--passes", type=int, choices=[1, 2], default=1,
        help="2 asks all twice and reports the agreement (1)")  # fmt: skip


def _add_endpoint(add: Any) -> None:
    add("--base-url", required=True, metavar="URL", help="such as http://localhost:8000/v1")
    add("--model", required=True, metavar="NAME", help="the model's name there")
    add("--key-env", default="OPENAI_API_KEY", metavar="VARIABLE",
        help="environment variable with the key; needs none on a loopback address "
        "(OPENAI_API_KEY)")  # fmt: skip
    add("--concurrency", type=int, default=8, metavar="N", help="requests at once (8)")
    add("--timeout-seconds", type=float, default=60.0, metavar="S", help="of a request (60)")
    add("--retries", type=int, default=6, metavar="N",
        help="further tries after 429, 5xx, time-outs and cut connections (6)")  # fmt: skip
    add("--parameters", default='{"temperature": 0}', metavar="JSON",
        help="what else to send, as a JSON object ({\"temperature\": 0})")  # fmt: skip
    add("--max-output-tokens", type=int, default=256, metavar="N", help="longest answer (256)")
    add("--output-limit-name", choices=["max_tokens", "max_completion_tokens"],
        default="max_tokens", help="what the endpoint calls that limit (max_tokens)")  # fmt: skip


def main(argv: list[str]) -> int:
    """Parse ``argv``, label, print a summary."""
    chosen = _parser().parse(argv)  # type: ignore[attr-defined]
    options = vars(chosen)

    budget = Budget(
        tokens=chosen.budget_tokens,
        cost=chosen.budget_cost,
        price_input=chosen.price_input,
        price_output=chosen.price_output,
    )
    common = {
        "job": LabelJob(
            template=_template(chosen.template), **{name: options[name] for name in _JOB}
        ),
        "endpoint": Endpoint(
            parameters=_parameters(chosen.parameters),
            **{name: options[name] for name in _ENDPOINT},
        ),
        "budget": budget,
        "encoding": chosen.encoding,
        "max_rows": chosen.max_rows,
    }
    if chosen.dry_run:
        _show_estimate(estimate(chosen.data, chosen.output, **common))
        return EXIT_DONE
    return _show(label(chosen.data, chosen.output, **common, partial=chosen.partial), chosen.output)


def _template(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
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
    sys.stderr.write(f"frtune: {_why(report, output)}\n")
    return EXIT_FAILED


def _why(report: dict[str, Any], output: str) -> str:
    """Why the labels are not whole, and what to do."""
    again = "The same command goes on from here."
    if report["stopped"] == "budget":
        return f"stopped: the next request could pass the budget. Raise it; {again}"
    if report["stopped"] == "endpoint":
        return f"stopped: {report['detail']}. {again}"

    return f"no row could be labelled: {beside(Path(output), 'rejected.jsonl')} says why."
