"""How answers are written: beams, limits and the like, checked before anything is generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import transformers  # its classes load on first use; Trainer takes long
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    GenerationConfig,
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from frtune.errors import InputError, first_line, nearest
from frtune.models.config_sizes import max_positions
from frtune.ranges import check_ranges
from frtune.tasks.base import Task
from frtune.training.draws import Votes

# settings of ``generate`` that change which tokens are written, and nothing else
SETTINGS = (
    "num_beams", "length_penalty", "early_stopping", "no_repeat_ngram_size", "repetition_penalty",
    "min_new_tokens", "min_length", "do_sample", "temperature", "top_k", "top_p", "min_p",
    "typical_p", "epsilon_cutoff", "eta_cutoff", "bad_words_ids", "suppress_tokens",
    "begin_suppress_tokens", "sequence_bias", "exponential_decay_length_penalty",
    "renormalize_logits", "forced_bos_token_id", "use_cache",
)  # fmt: skip
# what refuses values out of range
_RANGES = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
    "typical_p": TypicalLogitsWarper,
    "epsilon_cutoff": EpsilonLogitsWarper,
    "eta_cutoff": EtaLogitsWarper,
    "repetition_penalty": RepetitionPenaltyLogitsProcessor,
    "no_repeat_ngram_size": NoRepeatNGramLogitsProcessor,
}
_OFF_AT_0 = ("top_k", "no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff")
LIMITS = ("max_target_tokens", "max_new_tokens", "max_length")  # one limit, by its three names
RANKING = ("scores", "votes", "seed")  # how phrases get scores
TOKENS_OF_ROW = 2**16  # beams times tokens written
_IDS = ("eos_token_id", "bos_token_id", "pad_token_id", "decoder_start_token_id")
_NOTES = ("transformers_version", "_from_model_config")


@dataclass(frozen=True)
class GenerationOptions:
    """What ``generate`` is told besides what the task and the model say.

    Attributes:
        max_target_tokens: Tokens that are written at most, end token included; ``None`` takes the
            task's.
        settings: Further settings, of ``SETTINGS``.
        scores: Note the log probabilities of what is written.
        votes: Draw each row so many times; ``None`` writes it once.
        seed: Of these draws; ``None`` is 42.

    Example:
        >>> GenerationOptions(32, {"num_beams": 4}).signature
        '|max_target_tokens:32|num_beams:4'
    """

    max_target_tokens: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    scores: bool = False
    votes: int | None = None
    seed: int | None = None

    @property
    def drawn(self) -> Votes | None:
        """How each row is drawn; ``None`` where it is not."""
        return Votes(self.votes, 42 if self.seed is None else self.seed) if self.votes else None

    @property
    def signature(self) -> str:
        """What the signatures of scores say of it; empty where nothing was chosen."""
        limit = {"max_target_tokens": self.max_target_tokens} if self.max_target_tokens else {}
        drawn = {"votes": self.votes, "seed": self.drawn.seed} if self.drawn else {}
        given = {**limit, **self.settings, **drawn}
        return "".join(f"|{name}:{value}" for name, value in given.items())

    def applied(self, task: Task) -> Task:
        """The task with this limit, as it answers and is scored."""
        limit = self.max_target_tokens
        return task if limit is None else replace(task, max_target_tokens=limit)

    def as_given(self) -> dict[str, Any]:
        """What ``generation_options`` was given."""
        own = {"scores": self.scores or None, "votes": self.votes, "seed": self.seed}
        return {"max_target_tokens": self.max_target_tokens, **self.settings, **own}


def generation_options(
    task: Task, config: Any, given: Mapping[str, Any], *, own: Any = None
) -> GenerationOptions:
    """Check settings of generation against the task and the model.

    Args:
        task: The task.
        config: The model's configuration.
        given: Settings by name; those that are ``None`` are not given. The limit is
            ``max_target_tokens`` or ``max_new_tokens`` (tokens that are written) or ``max_length``,
            which counts an encoder-decoder's start token, and not a decoder's prompt.
        own: The model's ``GenerationConfig``.

    Raises:
        InputError: If the task writes no text, or a setting is unknown, has no effect, or is
            beyond what the model can do.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if not task.generates:
            raise InputError(f"{name}={value!r}: {task.name} writes no text. Leave it out.")
        if name not in (*SETTINGS, *LIMITS, *RANKING):
            known = [*LIMITS, *SETTINGS]
            raise InputError(
                f"{name}={value!r}: no setting of generation here.{nearest(name, known)} There are "
                f"{', '.join(known[:6])} and {len(known) - 6} more, all in docs/trainer.md."
            )
    decoder = not getattr(config, "is_encoder_decoder", False)
    settings = {n: value for n, value in given.items() if n not in (*LIMITS, *RANKING)}
    limit = _limit({name: given[name] for name in LIMITS if name in given}, decoder)
    ranking = {name: given[name] for name in RANKING if name in given}
    _check_ranking(ranking, settings)
    options = GenerationOptions(limit, settings, **ranking)
    options.applied(task)  # refuses a limit that no answer fits in
    if settings:
        _check_settings(settings, own, decoder)
    if limit is not None:
        _check_positions(limit, task, config, decoder)
    beams, most = settings.get("num_beams", 1), limit or task.max_target_tokens
    if given and beams * most > TOKENS_OF_ROW:
        chosen = f"num_beams={beams}" if beams > 1 else f"max_target_tokens={most}"
        raise InputError(
            f"{chosen}: a row would hold {beams * most:,} tokens ({beams} x {most:,}), and "
            f"{TOKENS_OF_ROW:,} are the most. Pass fewer beams, or tokens."
        )
    return options


def _limit(given: dict[str, Any], decoder: bool) -> int | None:
    """The most tokens that are written."""
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: are the same limit. Give one of them.")
    for name, value in given.items():
        start = name == "max_length" and not decoder  # the start token counts
        least = 2 if start else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name}={value!r}: a whole number of at least {least}.")
        return value - start
    return None


def _check_ranking(ranking: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    check_ranges(ranking)
    if "votes" not in ranking:
        if "seed" in ranking:
            raise InputError(f"seed={ranking['seed']}: nothing is drawn. Pass votes, too.")
        return
    if (beams := settings.get("num_beams", 1)) != 1:
        raise InputError(
            f"votes={ranking['votes']}: rows are drawn, and num_beams={beams} searches. Give one."
        )


def _check_settings(settings: dict[str, Any], own: Any, decoder: bool) -> None:
    beams = settings.get("num_beams", 1)
    if isinstance(beams, bool) or not isinstance(beams, int) or beams < 1:
        raise InputError(f"num_beams={beams!r}: a whole number of at least 1. 1 searches greedily.")
    if decoder and "min_length" in settings:
        raise InputError(
            f"min_length={settings['min_length']}: counts a decoder's prompt. Pass min_new_tokens."
        )
    around = {name: getattr(own, name, None) for name in ("num_beams", "do_sample")}
    around = {name: value for name, value in around.items() if value is not None}
    if settings.get("do_sample") is None:
        around.pop("do_sample", None)  # answers are not drawn unless the caller says so
    try:
        GenerationConfig(**{**around, **settings}).validate(strict=True)
        for name, made in _RANGES.items():
            if name in settings and not (name in _OFF_AT_0 and settings[name] == 0):
                made(settings[name])
    except (ValueError, TypeError) as error:
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
        told = next((line for line in lines if "`" in line), first_line(error))
        raise InputError(f"{', '.join(settings)}: {told[:240]}") from error


def _check_positions(limit: int, task: Task, config: Any, decoder: bool) -> None:
    positions = max_positions(config)
    if positions is None:
        return
    room = positions - (task.max_source_tokens if decoder else 1)
    if limit > room:
        source = f", {task.max_source_tokens} of them for the source" if decoder else ""
        raise InputError(
            f"max_target_tokens={limit}: this {config.model_type} has {positions} positions"
            f"{source}. Pass {max(room, 1)} or less."
        )


def argument_options(task: Task, model: Any, args: Any) -> GenerationOptions:
    """What ``Seq2SeqTrainingArguments`` say of generation.

    ``generation_max_length`` and ``generation_num_beams`` go before what stands in
    ``generation_config``.

    Raises:
        InputError: As ``generation_options`` does, by the names of the arguments; and for a
            ``generation_config`` that cannot be read.
    """
    if getattr(args, "predict_with_generate", False) and not task.generates:
        raise InputError(f"predict_with_generate=True: {task.name} writes no text. Leave it out.")
    source = getattr(args, "generation_config", None)
    length = getattr(args, "generation_max_length", None)
    beams = getattr(args, "generation_num_beams", None)
    chosen = {"generation_max_length": length, "generation_num_beams": beams}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    for name, value in {"generation_config": source, **chosen}.items():
        if value is not None and not task.generates:
            raise InputError(f"{name}={value!s:.60}: {task.name} writes no text. Leave it out.")
    own = getattr(model, "generation_config", None)
    given = {} if source is None else _of_config(source, own)
    if length is not None:
        given = {name: value for name, value in given.items() if name not in LIMITS}
    given |= {name.removeprefix("generation_"): value for name, value in chosen.items()}
    try:
        return generation_options(task, model.config, given, own=own)
    except InputError as error:
        names = [*chosen, *(["generation_config"] if source is not None else [])]
        raise InputError(f"{', '.join(names)}: {error}") from None


def _of_config(source: Any, own: Any) -> dict[str, Any]:
    """The settings of a ``GenerationConfig``, a file or a directory of one."""
    try:
        config = transformers.Seq2SeqTrainer.load_generation_config(source)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"generation_config={str(source)[:120]}: cannot be used: {first_line(error)} Give a "
            "GenerationConfig, or the file or directory of one."
        ) from error
    found = {k: v for k, v in config.to_diff_dict().items() if v is not None and k not in _NOTES}
    for name in _IDS:
        value, model_value = found.pop(name, None), getattr(own, name, None)
        ids = [{*each} if isinstance(each, list) else {each} for each in (value, model_value)]
        # a model of its shape alone, before weights are read, has none
        if own is not None and value is not None and not ids[0] <= ids[1]:
            raise InputError(
                f"generation_config: {name}={value}, and the model's is {model_value}. Leave it "
                "out; the task and the tokenizer say which tokens begin and end an answer."
            )
    if "forced_eos_token_id" in found:
        raise InputError(
            f"generation_config: forced_eos_token_id={found['forced_eos_token_id']} would end each "
            "answer at the limit, as if none were cut. Leave it out."
        )
    return found


def merged(
    task: Task, model: Any, base: GenerationOptions, given: Mapping[str, Any]
) -> GenerationOptions:
    """``base`` with what a call is given besides; ``InputError`` as ``generation_options``."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return base
    kept = base.as_given()
    if any(name in LIMITS for name in chosen):
        del kept["max_target_tokens"]
    own = getattr(model, "generation_config", None)
    return generation_options(task, model.config, {**kept, **chosen}, own=own)
