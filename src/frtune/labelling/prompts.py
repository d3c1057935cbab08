"""What is asked: the task, and the prompt made of a template and a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from frtune.errors import InputError

AbsentPhrases = Literal["keep", "drop", "again"]

KEYPHRASE_TEMPLATE = """\
List the {count} most important keyphrases of the text below, the most important first.
Write them on one line, separated by semicolons, in the language of the text, in words that \
stand in the text where possible.
No numbering, no explanation, nothing else.

<text>
{text}
</text>"""

CLASS_TEMPLATE = """\
Which one of these labels fits the text below best?
Labels: {labels}
Answer with the label alone, exactly as it is written above: no explanation, nothing else.

<text>
{text}
</text>"""

_FIELD = re.compile(r"\{(text|count|labels)\}")


@dataclass(frozen=True)
class LabelJob:
    """Task and prompt of a labelling run.

    Attributes:
        task: What to ask for.
        labels: The classes; for classification alone.
        count: Most keyphrases of a text; further ones are cut.
        template: Prompt with ``{text}`` and, where wanted, ``{count}`` or ``{labels}``; ``None``
            takes the built-in one.
        system: Text in the system role, before the prompt (default: none).
        language: Two-letter code. Phrases are looked for in the text by stems where the language
            has a stemmer (default: by the words as they are).
        absent_phrases: Keep phrases that are not in the text, drop them, or ask again once and then
            drop them.
        text_column: Column with the text.
        title_column: Column with a title that is put before the text.
        output_column: Column to write (default: ``keyphrases``, or ``label``).
        passes: 1, or 2 to ask all twice and report how far the answers agree. The first is kept.

    Example:
        >>> job = LabelJob(task="classification", labels=["sport", "politics"],
        ...                template="{labels}? {text}")
        >>> job.messages("The {labels} of a cup final.")
        [{'role': 'user', 'content': 'sport, politics? The {labels} of a cup final.'}]
    """

    task: Literal["keyphrases", "classification"] = "keyphrases"
    labels: list[str] | None = None
    count: int = 10
    template: str | None = None
    system: str | None = None
    language: str | None = None
    absent_phrases: AbsentPhrases = "keep"
    text_column: str = "text"
    title_column: str | None = None
    output_column: str | None = None
    passes: Literal[1, 2] = 1

    def __post_init__(self):
        if self.task not in ("keyphrases", "classification"):
            raise InputError(f"task={self.task!r}: keyphrases or classification.")
        self._check_labels()
        if self.count < 1:
            raise InputError(f"count={self.count}: at least 1.")
        if self.passes not in (1, 2):
            raise InputError(f"passes={self.passes}: 1 or 2.")
        if self.absent_phrases not in ("keep", "drop", "again"):
            raise InputError(f"absent_phrases={self.absent_phrases!r}: keep, drop or again.")
        if self.template is not None and "{text}" not in self.template:
            raise InputError("template: has no {text}. Write it where the text should stand.")
        if self.system is not None and not self.system.strip():
            raise InputError("system: is empty. Leave it out, or write what the model is to heed.")
        if self.language is not None and not re.fullmatch("[a-z]{2}", self.language):
            raise InputError(f"language={self.language!r}: a two-letter code, such as en or ko.")

    def _check_labels(self) -> None:
        if self.task == "keyphrases":
            if self.labels is not None:
                raise InputError("labels: are for task classification. Leave them out.")
            return
        found = [" ".join(label.split()) for label in self.labels or []]
        if len(found) < 2 or not all(found):
            raise InputError(
                "labels: at least two for classification. Pass --labels a b, for example."
            )
        if len(set(found)) < len(found):
            raise InputError("labels: one stands twice. Name each once.")
        object.__setattr__(self, "labels", found)

    @property
    def column(self) -> str:
        """The column that is written."""
        return self.output_column or ("keyphrases" if self.task == "keyphrases" else "label")

    def messages(self, text: str, *, again: bool = False) -> list[dict[str, str]]:
        """The prompt for a text; ``again`` repeats the form at its end, after a bad answer."""
        fields = {"text": text, "count": str(self.count), "labels": ", ".join(self.labels or [])}
        own = KEYPHRASE_TEMPLATE if self.task == "keyphrases" else CLASS_TEMPLATE
        prompt = _FIELD.sub(lambda field: fields[field[1]], self.template or own)
        if again:
            prompt += f"\n\n{self._reminder()}"
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": prompt}]

    def response_format(self) -> dict[str, Any]:
        """The JSON schema of an answer, as requests carry it.

        Example:
            >>> LabelJob().response_format()["json_schema"]["schema"]["properties"]
            {'keyphrases': {'type': 'array', 'items': {'type': 'string'}}}
        """
        name, form = "keyphrases", {"type": "array", "items": {"type": "string"}}
        if self.task == "classification":
            name, form = "label", {"type": "string", "enum": self.labels}
        schema = {
            "type": "object",
            "properties": {name: form},
            "required": [name],
            "additionalProperties": False,
        }
        return {
            "type": "json_schema",
            "json_schema": {"name": name, "strict": True, "schema": schema},
        }

    def _reminder(self) -> str:
        if self.task == "classification":
            return f"Answer with one of these labels alone: {', '.join(self.labels or [])}"
        reminder = (
            f"Answer with at most {self.count} short keyphrases alone, on one line, "
            "separated by semicolons: no sentence, no numbering."
        )
        if self.absent_phrases == "again":
            reminder += " Take phrases that stand in the text word for word."
        return reminder
