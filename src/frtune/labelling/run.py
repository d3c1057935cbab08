"""Label a data set: ask what has no answer yet, write rows, rejected rows and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.errors import InputError
from frtune.files import write_json
from frtune.labelling.budget import Budget, Tokens, likely_tokens, most_tokens
from frtune.labelling.endpoint import Endpoint
from frtune.labelling.prompts import LabelJob
from frtune.labelling.request_loop import RequestLoop, distinct_texts
from frtune.labelling.results import Results
from frtune.labelling.rows import rows_to_label, write_lines
from frtune.labelling.steps import Request, Steps
from frtune.labelling.store import Journal
from frtune.outputs import check_output_file

_TOKENS_A_PHRASE = 5  # for an estimate
_SAME_TWICE = (
    "temperature 0: both passes ask for the same most likely answer, so that their agreement says "
    "how steady the server is, not how sure the model"
)


def label(
    source: str | Path | Dataset,
    output: str | Path,
    *,
    job: LabelJob,
    endpoint: Endpoint,
    budget: Budget | None = None,
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    max_rows: int | None = None,
    partial: bool = False,
) -> dict[str, Any]:
    """Label texts with a language model behind an OpenAI-compatible endpoint.

    Each answer goes to ``NAME.answers.jsonl`` beside the output at once. The same call after a
    kill, or after the budget ended the run, goes on from there and pays for no answer twice.

    Args:
        source: What ``load_splits`` reads, of one split, or a ``.txt`` file with a text a line.
        output: ``NAME.jsonl`` to write; it must not exist. Rows without a usable answer go to
            ``NAME.rejected.jsonl``, the report to ``NAME.report.json``.
        job: What to ask.
        endpoint: Whom to ask.
        budget: Prices and limits; the limits hold for all runs with this output together.
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says.
        text_columns: As for ``load_splits``.
        max_rows: Label the first so many rows; ``None`` labels all.
        partial: Write the rows that have an answer, also if the run stopped early.

    Returns:
        The report. ``complete`` tells whether every text was settled; ``stopped`` is ``"budget"``,
        ``"endpoint"`` or ``"limit"`` (of the answer) otherwise, and no output was written unless
        ``partial``.

    Raises:
        InputError: For bad input, and if the endpoint refuses the key, the model or all requests.
        ImportError: If the package ``openai`` is missing.

    Example:
        >>> label("texts.jsonl", "labelled.csv", job=LabelJob(),
        ...       endpoint=Endpoint("http://localhost:8000/v1", "my-model"))
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: output=labelled.csv: JSON lines are written. Name a file that
        ends in .jsonl.
    """
    path, budget = _checked(output), budget or Budget()
    endpoint.read_key()
    rows = rows_to_label(
        source, job, encoding=encoding, max_rows=max_rows, text_columns=text_columns
    )
    steps = _steps(job, endpoint)
    with Journal(beside(path, "answers.jsonl")) as journal:
        loop = RequestLoop(steps, endpoint=endpoint, budget=budget, journal=journal)
        loop.run(rows)
        results = Results(rows, steps, answers=journal.answers, refused=loop.refused)
        stopped = loop.stopped or ("endpoint" if loop.failed else None)
        report = {
            "complete": stopped is None,
            "stopped": stopped,
            "detail": loop.detail,
            **results.report(),
            "requests": {
                "answered": loop.client.answered,
                "texts_answered_before": loop.reused,
                "failed_tries": dict(loop.client.failures.most_common()),
                "answers_without_usage": loop.client.without_usage,
            },
            "spent": {
                "input_tokens": journal.spent.input,
                "output_tokens": journal.spent.output,
                "cost": budget.cost_of(journal.spent),
                "unsettled_requests": journal.unsettled,
            },
            "settings": _settings(job, endpoint, budget),
            "notes": _notes(job, loop, steps, results),
        }
        if stopped is None or partial:
            _write(path, results, report)
    return report


def _notes(job: LabelJob, loop: RequestLoop, steps: Steps, results: Results) -> list[str]:
    """What a reader of the report should know."""
    notes = [*loop.client.dialect.notes]
    if job.passes == 2 and loop.client.dialect.is_greedy:
        notes.append(_SAME_TWICE)
    if loop.raised:
        notes.append(
            f"texts asked about twice, since the first answer ended at its limit: {loop.raised}. "
            f"--max-output-tokens {steps.raised_limit} asks once"
        )
    if results.without_phrases:
        notes.append(
            f"rows with an empty list of keyphrases: {results.without_phrases}. frtune prepare "
            "sets them aside, which training needs"
        )
    return notes


def _checked(output: str | Path) -> Path:
    path = check_output_file(output)
    if path.suffix != ".jsonl":
        raise InputError(f"output={path}: JSON lines are written. Name a file that ends in .jsonl.")
    for ending in ("answers.jsonl", "rejected.jsonl", "report.json"):
        check_output_file(beside(path, ending), new=False)
    return path


def beside(output: Path, ending: str) -> Path:
    """The file ``NAME.ending`` beside ``NAME.jsonl``.

    Example:
        >>> beside(Path("labelled.jsonl"), "report.json").name
        'labelled.report.json'
    """
    return output.with_name(f"{output.stem}.{ending}")


def _steps(job: LabelJob, endpoint: Endpoint) -> Steps:
    parameters = {**endpoint.parameters, "max_output_tokens": endpoint.max_output_tokens}
    if endpoint.response_format == "json_schema":
        parameters["response_format"] = "json_schema"
    return Steps(job, model=endpoint.model, parameters=parameters)


def _settings(job: LabelJob, endpoint: Endpoint, budget: Budget) -> dict[str, Any]:
    return {
        "job": {**asdict(job), "output_column": job.column},
        "endpoint": {**asdict(endpoint), "parameters": dict(endpoint.parameters)},
        "budget": asdict(budget),
        "prompt": job.messages("{text}")[-1]["content"],
    }


def _write(path: Path, results: Results, report: dict[str, Any]) -> None:
    """Write the rows last: where they are, the rest is."""
    rejected = beside(path, "rejected.jsonl")
    if not write_lines(rejected, results.rejected_rows()):
        rejected.unlink()
    write_json(beside(path, "report.json"), report)
    if results.labelled:
        write_lines(path, results.labelled_rows())


def estimate(
    source: str | Path | Dataset,
    output: str | Path,
    *,
    job: LabelJob,
    endpoint: Endpoint,
    budget: Budget | None = None,
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    max_rows: int | None = None,
) -> dict[str, Any]:
    """Say what ``label`` would ask and cost; ask nothing, write nothing, need no key.

    The arguments are those of ``label``. Answers that are there already are not asked for again.

    Returns:
        ``prompts`` (the first three), ``rows``, ``requests`` (those to be sent; a second question
        after a bad answer is not foreseen), ``input_tokens`` and ``output_tokens`` (likely: four
        bytes a token; five tokens a phrase), ``most_input_tokens``, ``most_output_tokens``, and
        ``cost`` and ``most_cost`` where prices are given.
    """
    path, budget = _checked(output), budget or Budget()
    rows = rows_to_label(
        source, job, encoding=encoding, max_rows=max_rows, text_columns=text_columns
    )
    steps = _steps(job, endpoint)
    journal = Journal(beside(path, "answers.jsonl"))
    journal.read()
    answer = max((likely_tokens([{"content": each}]) for each in job.labels or []), default=0)
    answer = min(answer or job.count * _TOKENS_A_PHRASE, endpoint.max_output_tokens)
    prompts, count, likely, most = [], 0, Tokens(), Tokens()
    for text, number in distinct_texts(rows, steps):
        step = steps.next(text, number, journal.answers)
        if not isinstance(step, Request):
            continue
        count += 1
        if len(prompts) < 3 and number == 1:
            prompts.append("\n\n".join(message["content"] for message in step.messages))
        likely = likely.plus(Tokens(likely_tokens(step.messages), answer))
        most = most.plus(most_tokens(step.messages, endpoint.max_output_tokens))
    return {
        "prompts": prompts,
        "rows": len(rows),
        "requests": count,
        "input_tokens": likely.input,
        "output_tokens": likely.output,
        "most_input_tokens": most.input,
        "most_output_tokens": most.output,
        "cost": budget.cost_of(likely),
        "most_cost": budget.cost_of(most),
    }
