"""What is to be done next for a text: ask, ask again, or settle on an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from frtune.labelling.answers import Parsed, parse_keyphrases, parse_label
from frtune.labelling.prompts import LabelJob
from frtune.labelling.store import Answer, content_key
from frtune.metrics.phrases import presence_for, presence_test, stemmer_for

Messages = list[dict[str, str]]


RAISED = 8  # times the limit, for a model that spent it on reasoning
_FORM_PROBLEMS = ("cut", "empty", "broken", "several_answers")


class Request(NamedTuple):
    """A question that has no answer yet.

    Args:
        key: Under which its answer is kept.
        messages: What is asked.
        max_output_tokens: Longest answer.
        in_schema: Whether JSON of a schema may be asked for: a model that is held to one can fail
            because of it.
    """

    key: str
    messages: Messages
    max_output_tokens: int
    in_schema: bool = True


class Outcome(NamedTuple):
    """What became of a text in one pass.

    Args:
        value: Keyphrases or a label; ``None`` when no answer could be used.
        repairs: What was mended in the answer that was used.
        problems: Why each earlier answer could not be used; two when there is no value.
        proposed: Keyphrases before absent ones were dropped.
        absent: How many of them are not in the text.
        answer: What the model wrote last.
    """

    value: Any
    repairs: list[str]
    problems: list[str]
    proposed: int = 0
    absent: int = 0
    answer: str = ""


class Steps:
    """Tells the next step for a text, from the answers that are there.

    The same answers always lead to the same outcome, so that a run that was killed, or is run
    again, comes to the same labels.
    """

    def __init__(self, job: LabelJob, *, model: str, parameters: Mapping[str, Any]):
        self.job = job
        self._model, self._parameters = model, dict(parameters)

    @property
    def raised_limit(self) -> int:
        """The limit of the second question about a text whose first answer was cut off."""
        return RAISED * self._parameters["max_output_tokens"]

    def request(self, text: str, number: int, *, after: str = "", raised: bool = False) -> Request:
        """The question about ``text`` in pass ``number``, from 1.

        Args:
            text: What it is about.
            number: The pass.
            after: The problem of an earlier answer; repeats the form at the prompt's end.
            raised: Take the higher limit.
        """
        messages = self.job.messages(text, again=bool(after))
        limit = self.raised_limit if raised else self._parameters["max_output_tokens"]
        parameters = {**self._parameters, "max_output_tokens": limit}
        key = content_key(
            model=self._model, parameters=parameters, messages=messages, number=number
        )
        return Request(key, messages, limit, after not in _FORM_PROBLEMS)

    def next(self, text: str, number: int, answers: Mapping[str, Answer]) -> Request | Outcome:
        """The request to send for ``text`` now, or what became of it."""
        first = self.request(text, number)
        if first.key not in answers:
            return first
        outcome = self._outcome(answers[first.key], text, last=False)
        if outcome.value is not None:
            return outcome
        (problem,) = outcome.problems
        second = self.request(text, number, after=problem)
        # frtune 0.1.0 kept to the limit; what it was answered serves
        if problem == "cut" and second.key not in answers:
            second = self.request(text, number, after=problem, raised=True)
        if second.key not in answers:
            return second
        outcome = self._outcome(answers[second.key], text, last=True)
        return outcome._replace(problems=[problem, *outcome.problems])

    def _outcome(self, answer: Answer, text: str, *, last: bool) -> Outcome:
        job = self.job
        if job.task == "classification":
            return _settled(parse_label(answer, job.labels or [], text), answer)
        is_present = presence_in(text, job.language)
        parsed = parse_keyphrases(answer, is_present=is_present, count=job.count, source=text)
        if parsed.value is None:
            return _settled(parsed, answer)
        present = [phrase for phrase in parsed.value if is_present(phrase)]
        absent = len(parsed.value) - len(present)
        counts = {"proposed": len(parsed.value), "absent": absent}
        if absent and job.absent_phrases != "keep":
            repairs = [*parsed.repairs, "absent_dropped"]
            ask = not present or (job.absent_phrases == "again" and not last)
            parsed = Parsed(None, parsed.repairs, "absent") if ask else Parsed(present, repairs)
        return _settled(parsed, answer)._replace(**counts)


def _settled(parsed: Parsed, answer: Answer) -> Outcome:
    problems = [parsed.problem] if parsed.problem else []
    return Outcome(parsed.value, parsed.repairs, problems, answer=answer.text)


def presence_in(text: str, language: str | None) -> Callable[[str], bool]:
    """Tell of phrases whether they stand in ``text``, as ``frtune.metrics`` does.

    Example:
        >>> presence_in("Two solar cells.", "en")("solar cell")
        True
    """
    presence = presence_for(language)
    return presence_test(text, presence, _stemmer(language) if presence == "stem" else None)


_stemmer = lru_cache(stemmer_for)
