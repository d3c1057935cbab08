"""A study of several checkpoints on the same texts."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from operator import itemgetter
from typing import Any

import numpy as np

from frtune.environment.precision import choose_precision, device_in_use
from frtune.errors import InputError
from frtune.outputs import check_output_directory
from frtune.study.answers import convergence
from frtune.study.checkpoints import Checkpoint, load_base, read_checkpoint
from frtune.study.collect import Collected, collect
from frtune.study.compare import LEAST_ITEMS, PairValue, compare_texts, compare_tokens
from frtune.study.corpus import Corpus, encode
from frtune.study.frames import dimension_frame, layer_frame, pair_frame
from frtune.study.pairs import chance_cka
from frtune.study.probes import add_probes, alike
from frtune.study.result import Study
from frtune.study.sampling import text_keys
from frtune.study.settings import Settings
from frtune.study.store import Store, texts_hash

Skipped = list[dict[str, str]]
# vectors a dimension, below which statistics of spectra and likeness are far from their own
FEW = 2


def study(
    checkpoints: Mapping[str, str | os.PathLike[str]],
    texts: Sequence[str],
    labels: Sequence[str | int] | None = None,
    *,
    output_dir: str | os.PathLike[str] | None = None,
    max_tokens: int = 512,
    token_budget: int = 4096,
    seed: int = 42,
    sample_tokens: int = 2000,
    sample_texts: int = 2000,
    bf16: bool | None = None,
    progress: str | None = None,
) -> Study:
    """Describe the hidden states of checkpoints layer by layer, and compare them.

    The texts are read once per checkpoint, and memory does not grow with their number. Padding
    and special tokens enter no statistic, except that ``first`` is the vector at the first
    position. What the statistics are is said where they are computed: ``cosine_statistics``,
    ``spectrum``, ``outlier_dimensions``, ``compare_tokens``, ``add_probes``.

    Args:
        checkpoints: Name to directory or hub name: a model, or what ``frtune train`` left. An
            adapter is merged into its base. Any number; each pair is compared.
        texts: Texts; blank ones are left out.
        labels: The class of each text; probes need them.
        output_dir: Keep each finished checkpoint's statistics there, and reuse them when model,
            texts and settings are the same. ``Study.save`` writes the results.
        max_tokens: Longest text in tokens; a longer one loses its end. At most what all
            checkpoints have positions for.
        token_budget: Tokens a batch: a matter of speed and memory alone.
        seed: Seed of samples, split and intervals.
        sample_tokens: Tokens, drawn by hash, that are compared between checkpoints.
        sample_texts: Texts, drawn by hash, that the probes see.
        bf16: Run the models in bf16; ``None`` does where the CPU, which runs them, is fast at it.
        progress: Label of the progress bars; ``None`` shows none.

    Returns:
        Frames and dicts of all numbers; in ``skipped`` what could not be computed, and in ``notes``
        what must be known to read them.

    Raises:
        InputError: If there is no checkpoint or no text, if labels and texts differ in number, or
            if a checkpoint cannot be read.
    """
    if output_dir is not None:
        check_output_directory(output_dir, inputs=map(str, checkpoints.values()))
    texts, labels, skipped = _check(checkpoints, texts, labels)
    kept = [i for i, text in enumerate(texts) if text.strip()]
    words = [texts[i] for i in kept]
    classes = None if labels is None else [labels[i] for i in kept]
    opened = [read_checkpoint(name, path) for name, path in checkpoints.items()]
    choice = choose_precision(device_in_use("cpu"), bears_fp16=True, bf16=bf16)
    settings = Settings(
        max_tokens=_limit(opened, max_tokens, skipped),
        token_budget=token_budget,
        seed=seed,
        sample_tokens=sample_tokens,
        sample_texts=sample_texts,
        bf16=choice.precision == "bf16",
    )
    keys = text_keys(words, classes, seed=seed)
    rows = zip(words, classes or [], strict=False)
    by_key = None if classes is None else dict(zip(keys.tolist(), rows, strict=True))
    runs = []
    for checkpoint in opened:
        corpus = _encode(checkpoint, words, keys, settings, skipped)
        found = _collect(checkpoint, corpus, settings, by_key, Store(output_dir), progress, skipped)
        runs.append(_Run(checkpoint, corpus.describe(), corpus.signature, found))
    layers = layer_frame([(run.checkpoint.name, run.found) for run in runs])
    copies = _copies(runs[0], dict(zip(keys.tolist(), words, strict=True)))
    pairs = pair_frame(_compare(runs, copies, settings, skipped))
    answers = convergence(layers)
    if classes is not None and not answers:
        why = "no probes, or fewer than 3 layers that differ"
        skipped.append(_line("convergence against accuracy", why))
    data = {
        "texts": len(words),
        "blank_texts": len(texts) - len(kept),
        "max_tokens": settings.max_tokens,
        **runs[0].described,
        "labels": None if classes is None else dict(sorted(Counter(map(str, classes)).items())),
        "hash": texts_hash(keys),
    }
    return Study(
        layers=layers,
        pairs=pairs,
        dimensions=dimension_frame([(run.checkpoint.name, run.found) for run in runs]),
        answers=answers,
        checkpoints=[{**run.checkpoint.describe(), **run.described} for run in runs],
        data=data,
        settings=dataclasses.asdict(settings),
        skipped=skipped,
        notes=list(_notes(runs, copies, settings)),
    )


@dataclasses.dataclass(frozen=True)
class _Run:
    """A checkpoint and what was found of it."""

    checkpoint: Checkpoint
    described: dict[str, Any]
    signature: str
    found: Collected


def _check(
    checkpoints: Any, texts: Any, labels: Any
) -> tuple[list[str], list[str | int] | None, Skipped]:
    if not isinstance(checkpoints, Mapping) or not checkpoints:
        raise InputError(
            'checkpoints: a dict of names and paths. Pass {"raw": "DIRECTORY"}, for example.'
        )
    if isinstance(texts, str):
        raise InputError("texts: one string. Pass a list of texts.")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"text {i + 1}: {text!r} is no text. Pass strings.")
    blank = sum(not text.strip() for text in texts)
    if blank == len(texts):
        raise InputError(f"texts: {len(texts)}, none with words in it. Pass texts to read.")
    labels = None if labels is None else list(labels)
    if labels is not None and len(labels) != len(texts):
        raise InputError(
            f"labels: {len(labels)} for {len(texts)} texts. Pass one label for each text."
        )
    skipped = [_line("texts", f"{blank} of {len(texts)} are blank; left out")] if blank else []
    if labels is None:
        skipped.append(_line("probes", "no labels were given"))
    return texts, labels, skipped


def _line(what: str, why: str) -> dict[str, str]:
    return {"what": what, "why": why}


def _limit(opened: list[Checkpoint], max_tokens: int, skipped: Skipped) -> int:
    limits = [(c.max_tokens, c.name) for c in opened if c.max_tokens is not None]
    limit, name = min(limits, key=itemgetter(0), default=(max_tokens, ""))
    if limit >= max_tokens:
        return max_tokens
    why = f"max_tokens={max_tokens}: {name} has {limit} positions, for all then"
    skipped.append(_line("the ends of long texts", why))
    return limit


def _encode(
    checkpoint: Checkpoint, texts: list[str], keys: np.ndarray, settings: Settings, skipped: Skipped
) -> Corpus:
    corpus = encode(checkpoint.tokenizer, texts, keys, max_tokens=settings.max_tokens)
    if not len(corpus.lengths):
        raise InputError(f"{checkpoint.name}: its tokenizer has no token for any of the texts.")
    if corpus.wordless:
        why = f"its tokenizer has no token for {corpus.wordless} texts; left out"
        skipped.append(_line(f"{checkpoint.name}: texts", why))
    return corpus


def _collect(
    checkpoint: Checkpoint,
    corpus: Corpus,
    settings: Settings,
    labels: Mapping[int, Any] | None,
    store: Store,
    progress: str | None,
    skipped: Skipped,
) -> Collected:
    """Statistics of one checkpoint: read back, or computed and stored."""
    path = store.path(checkpoint.weights_hash, corpus, settings)
    found = store.read(path)
    if found is None:
        label = None if progress is None else f"{progress}: {checkpoint.name}"
        found = collect(load_base(checkpoint), corpus, settings, progress=label)
        store.write(path, found)
    if labels is not None and not found.probed:
        found.notes += add_probes(found, labels, checkpoint.family.kind, settings)
        found.probed = True
        store.write(path, found)
    skipped += [_line(f"{checkpoint.name}: {what}", why) for what, why in found.notes]
    return found


def _compare(
    runs: list[_Run], copies: np.ndarray, settings: Settings, skipped: Skipped
) -> Iterator[tuple[str, str, PairValue]]:
    for a, b in combinations(runs, 2):
        names = a.checkpoint.name, b.checkpoint.name
        first, second = a.found.arrays, b.found.arrays
        both = " and ".join(names)
        skipped += [_line(f"{both}: {what}", why) for what, why in _unlike(a, b, copies, settings)]
        if a.signature == b.signature and first["tokens"].shape[1] >= LEAST_ITEMS:
            drifts = a.checkpoint.family.kind == b.checkpoint.family.kind
            values = compare_tokens(first["tokens"], second["tokens"], settings, drifts=drifts)
            yield from ((*names, value) for value in values)
        shared = _shared(a, b, copies)
        if len(shared[0]) >= LEAST_ITEMS:
            means = first["text_mean"][:, shared[0]], second["text_mean"][:, shared[1]]
            yield from ((*names, value) for value in compare_texts(*means))


def _notes(runs: list[_Run], copies: np.ndarray, settings: Settings) -> Iterator[dict[str, str]]:
    """What must be known to read the numbers: copies, few vectors for their width, equal models."""
    for run in runs:
        tokens, width = run.described["tokens"]["real"], run.checkpoint.config.hidden_size
        if tokens < FEW * width:
            why = f"{tokens} tokens for {width} dimensions: too low with so few"
            yield _line(
                f"{run.checkpoint.name}: effective rank, participation ratio, IsoScore", why
            )
    if len(copies):
        count = f"{len(copies)} of {len(runs[0].found.arrays['text_keys'])}"
        why = (
            f"{count} equal another or nearly so; they stand on one side of the probes' splits and "
            "count once there and in cka_texts; neighbours and cka of tokens are too high by them"
        )
        yield _line("texts", why)
    for a, b in combinations(runs, 2):
        both = f"{a.checkpoint.name} and {b.checkpoint.name}"
        if _identical(a, b):
            yield _line(both, "identical: the same vectors for every token in every layer")
            continue
        widths = [run.checkpoint.config.hidden_size for run in (a, b)]
        counts = {"cka_texts": len(_shared(a, b, copies)[0])}
        if a.signature == b.signature:
            counts["cka"] = a.found.arrays["tokens"].shape[1]
        for statistic, count in counts.items():
            if LEAST_ITEMS <= count < FEW * max(widths):
                yield _line(f"{both}: {statistic}", _few_vectors(statistic, count, *widths))
        if settings.neighbours < counts.get("cka", 0) <= 10 * settings.neighbours:
            chance = settings.neighbours / (counts["cka"] - 1)
            why = f"{counts['cka']} tokens: {chance:.2f} are kept by chance alone"
            yield _line(f"{both}: neighbours", why)


def _few_vectors(statistic: str, count: int, first: int, second: int) -> str:
    what = "texts" if statistic == "cka_texts" else "tokens"
    widths = f"{first}" if first == second else f"{first} and {second}"
    also = "" if what == "texts" or count > max(first, second) else "; procrustes is near 0 for any"
    return (
        f"{count} {what} for {widths} dimensions: unrelated layers have about "
        f"{chance_cka(count, first, second):.2f}{also}. Read {statistic}_debiased"
    )


def _identical(a: _Run, b: _Run) -> bool:
    """Whether two checkpoints cut the texts alike and have the same vectors for them."""
    first, second = a.found.arrays["tokens"], b.found.arrays["tokens"]
    same = a.checkpoint.weights_hash == b.checkpoint.weights_hash
    return a.signature == b.signature and (same or np.array_equal(first, second))


def _copies(run: _Run, texts: Mapping[int, str]) -> np.ndarray:
    """Keys of the sampled texts that equal an earlier one or nearly so."""
    keys = run.found.arrays["text_keys"]
    groups = alike([texts[key] for key in keys.view("uint64").tolist()])
    return np.delete(keys, np.unique(groups, return_index=True)[1])


def _shared(a: _Run, b: _Run, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the sampled texts that both have, without copies."""
    first, second = (run.found.arrays["text_keys"] for run in (a, b))
    kept, places, others = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    distinct = ~np.isin(kept, copies)
    return places[distinct], others[distinct]


def _unlike(a: _Run, b: _Run, copies: np.ndarray, settings: Settings) -> list[tuple[str, str]]:
    """What cannot be compared in two checkpoints, and why."""
    found = []
    one, other = a.checkpoint, b.checkpoint
    tokens = a.found.arrays["tokens"].shape[1]
    texts = len(_shared(a, b, copies)[0])
    every = "drift, neighbours, procrustes and cka of tokens"
    if a.signature != b.signature:
        found.append((every, "their tokenizers cut the texts into other tokens; see cka_texts"))
    elif tokens < LEAST_ITEMS:
        found.append((every, f"{tokens} tokens, {LEAST_ITEMS} are needed"))
    else:
        kinds = one.family.kind, other.family.kind
        widths = one.config.hidden_size, other.config.hidden_size
        if kinds[0] != kinds[1]:
            found.append(("drift", f"one is an {kinds[0]}, the other an {kinds[1]}"))
        elif widths[0] != widths[1]:
            found.append(("drift", f"{widths[0]} and {widths[1]} dimensions"))
        if tokens <= settings.neighbours:
            why = f"{tokens} tokens, more than {settings.neighbours} are needed"
            found.append(("neighbours", why))
        depths = one.config.num_hidden_layers, other.config.num_hidden_layers
        if depths[0] != depths[1]:
            why = f"{depths[0]} and {depths[1]} blocks: layers to {min(depths)} compared, cka all"
            found.append(("layers", why))
    if texts < LEAST_ITEMS:
        found.append(("cka_texts", f"{texts} texts in common, {LEAST_ITEMS} are needed"))
    return found
