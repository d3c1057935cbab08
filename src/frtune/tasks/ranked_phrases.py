"""Generated phrases with their scores: calibrated, voted for, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from frtune import metrics
from frtune.errors import InputError
from frtune.metrics.chances import platt
from frtune.metrics.phrases import (
    STEMMERS,
    normalize_phrase,
    presence_for,
    presence_test,
    stemmer_for,
)
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.answers import Answer, Line, Scores
from frtune.tasks.base import Task
from frtune.tasks.generated import Generated
from frtune.tasks.phrase_scores import Scored, by_votes, phrase_scores
from frtune.tasks.ranking import Ranking, chance_remarks, chance_scores, fitted_map, ranking_of
from frtune.words import UNSPACED, words

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self


class RankedPhrases(Task):
    """Answers of a task that writes phrases, and what their scores are worth.

    The attributes are those of ``KeyphraseGeneration``.
    """

    separator: str
    language: str | None
    calibrate_scores: int | None
    score_map: list[float] | None

    choices: ClassVar[tuple[str, ...]] = ("min_score", "top_k", "present_only")

    def parse(self, line: str) -> list[str]:
        """Split one generated line into clean phrases, each once."""
        raise NotImplementedError

    def decode(self, generated: Iterable[Sequence[int]], tokenizer: Any) -> list[list[str]]:
        """Turn generated token ids into phrases: ``lines``, then ``parse``."""
        return [self.parse(line) for line in self.lines(generated, tokenizer)]

    # --- answers and what is kept of them --------------------------------------------------------

    def answers(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        if not any(row.log_probs is not None for row in outputs):
            return [{"keyphrases": p} for p in self.decode([row.ids for row in outputs], tokenizer)]
        found, fitted = self._ranked_rows(outputs, tokenizer), self._map_of(outputs)
        answers = []
        for row in found:
            scores = [score for _, score in row]
            scores = scores if fitted is None else platt(scores, *fitted).tolist()
            answers.append({"keyphrases": [phrase for phrase, _ in row], "scores": scores})
        return answers

    def _ranked_rows(self, outputs: Sequence[Generated], tokenizer: Any) -> list[Scored]:
        key = self.merge_key()
        return [self._ranked(row, tokenizer, key) for row in outputs]

    def _ranked(self, row: Generated, tokenizer: Any, key: Callable[[str], str]) -> Scored:
        """A row's phrases with their scores: in the order written, or ranked by votes."""
        if row.votes:
            drawn = [self._ranked(replace(vote, votes=()), tokenizer, key) for vote in row.votes]
            return by_votes(drawn, key)
        prefixes = self.lines([row.ids[: i + 1] for i in range(len(row.ids))], tokenizer)
        phrases = self.parse(prefixes[-1]) if prefixes else []
        scores = phrase_scores(phrases, prefixes, row.log_probs or [], self.separator)
        return list(zip(phrases, scores, strict=True))

    def merge_key(self) -> Callable[[str], str]:
        """What phrases that count as one have in common: stems, by ``language``; else words.

        Of Hangul, kana and Han the spaces do not count: Korean compounds are written with or
        without.

        Example:
            >>> from frtune import KeyphraseGeneration
            >>> key = KeyphraseGeneration().merge_key()
            >>> key("인구 감소") == key("인구감소"), key("Peut-être") == key("peut être")
            (True, True)
        """
        if self.language in STEMMERS:
            stem = stemmer_for(self.language)
            return lambda phrase: stem(phrase) or normalize_phrase(phrase)
        return _words_key

    def choose(
        self, answers: Sequence[Answer], choice: AnswerChoice, rows: Dataset | None = None
    ) -> list[dict[str, Any]]:
        """As of every task; ``top_k`` puts the best first."""
        found = super().choose(answers, choice)
        if not choice.given:
            return found
        texts = [""] * len(found)
        if choice.present_only:
            if rows is None:
                raise InputError("present_only=True: looks into the texts. Give the rows.")
            texts = self.score_texts(rows)
        return [self._kept(answer, choice, text) for answer, text in zip(found, texts, strict=True)]

    def _kept(self, answer: Answer, choice: AnswerChoice, text: str) -> dict[str, Any]:
        phrases = answer["keyphrases"]
        scores = answer.get("scores") or [None] * len(phrases)
        items = [{"text": p, "score": s} for p, s in zip(phrases, scores, strict=True)]
        if choice.present_only:
            here = presence_test(text, presence_for(None), None)  # as scores of present ones do
            items = [item for item in items if here(item["text"])]
        items = choice.kept(items, lambda item: normalize_phrase(item["text"]))
        if choice.top_k is not None:
            items.sort(key=lambda item: -item["score"])
        kept = {"keyphrases": [item["text"] for item in items]}
        if "scores" in answer:
            kept["scores"] = [item["score"] for item in items]
        return {**answer, **kept}

    # --- scores as chances -----------------------------------------------------------------------

    @property
    def calibrates(self) -> bool:
        return self.calibrate_scores is not None

    @property
    def uncalibrated(self) -> str:
        return "scores of phrases are not calibrated"

    @property
    def calibration_options(self) -> list[dict[str, Any]]:
        if self.calibrated_votes is None:
            return [{"scores": True}]
        # what is drawn has no beams, though the training arguments may have some
        return [{"votes": self.calibrated_votes, "num_beams": 1}]

    @property
    def calibrated_votes(self) -> int | None:
        """How often rows are drawn for calibrated scores; ``None`` where they are written once."""
        return None if self.calibrate_scores in (None, 1) else self.calibrate_scores

    def calibrated(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any = None
    ) -> tuple[Self, list[str]]:
        """As of every task: with ``score_map``; without it scores stay as they are."""
        true = self.references(dataset, tokenizer)
        ranking = ranking_of(self._ranked_rows(outputs, tokenizer), true, normalize_phrase)
        found, note = fitted_map(ranking, len(true))
        return replace(self, score_map=found), [note] if note else []

    def _map_of(self, outputs: Sequence[Generated]) -> list[float] | None:
        """What makes the scores of these outputs chances; ``None`` where nothing was fitted."""
        votes = max((len(row.votes) for row in outputs), default=0) or None
        return self.score_map if votes == self.calibrated_votes else None

    @property
    def answers_have_scores(self) -> bool:
        return self.score_map is not None and self.calibrated_votes is None

    def scores_note(self, *, votes: int | None, settings: Mapping[str, Any]) -> str | None:
        if self.score_map is None:
            return None
        way = f"with votes={self.calibrate_scores}" if self.calibrated_votes else "without votes"
        if votes != self.calibrated_votes:
            return f"these scores of phrases are not calibrated: those {way} are"
        if settings:
            return f"scores of phrases were calibrated without {', '.join(settings)}"
        return None

    def _chance_scores(
        self, outputs: Sequence[Generated], dataset: Dataset, tokenizer: Any
    ) -> Scores:
        """How far calibrated scores hold, where there are some."""
        fitted = self._map_of(outputs)
        if fitted is None or any(row.log_probs is None for row in outputs):
            return {}
        true = self.references(dataset, tokenizer)
        found = ranking_of(self._ranked_rows(outputs, tokenizer), true, normalize_phrase)
        return chance_scores(found, fitted)

    def _chance_names(self) -> list[str]:
        return metrics.phrase_chances.chance_names() if self.score_map else []

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        return chance_remarks(metrics)

    def ranking(self, lines: Sequence[Line]) -> Ranking | None:
        if not all("scores" in line for line in lines):
            return None
        found = [[*zip(line["prediction"], line["scores"], strict=True)] for line in lines]
        true = [line["reference"] for line in lines]
        # lines hold what is written once, whose scores a map of votes does not change
        fitted = self.score_map if self.answers_have_scores else None
        return ranking_of(found, true, normalize_phrase, fitted)


def _words_key(phrase: str) -> str:
    between = "" if UNSPACED.search(phrase) else " "
    return between.join(words(phrase)) or normalize_phrase(phrase)
