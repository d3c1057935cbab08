"""From articles as they come to files to train on: cleaned, filtered, split and audited."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from frtune.data._examine import Columns, examine
from frtune.data._fate import REJECTED, Fate
from frtune.data._output import publish, write_rows
from frtune.data._sources import name_of, quiet_hub, read_parts
from frtune.data.audit import summarize, threshold_check
from frtune.data.checks import columns_check, separator_check
from frtune.data.duplicates import near_pairs
from frtune.data.filters import Filters
from frtune.data.splitting import SPLITS, parse_ratio
from frtune.errors import InputError, nearest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

    from frtune.data._sources import Part
    from frtune.tasks.keyphrases import KeyphraseGeneration

NearDuplicates = Literal["report", "reject"]


def prepare(
    source: str | Path | Dataset | DatasetDict,
    output_dir: str | Path,
    *,
    task: KeyphraseGeneration | Columns | None = None,
    encoding: str | None = None,
    # which rows are kept
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    min_source_tokens: int | None = None,
    max_source_tokens: int | None = None,
    max_target_tokens: int | None = None,
    min_keyphrases: int | None = None,
    max_keyphrases: int | None = None,
    language: str | None = None,
    near_duplicates: NearDuplicates = "report",
    near_threshold: float = 0.8,
    # how they are split
    split: str = "8:1:1",
    validation_rows: int | None = None,
    test_rows: int | None = None,
    resplit: bool = False,
    seed: int = 42,
    num_proc: int | None = None,
) -> dict[str, Any]:
    """Read, clean, filter, split and audit a keyphrase data set, and write it to a directory.

    The directory gets ``train.jsonl``, ``validation.jsonl`` and ``test.jsonl`` (``id`` and
    ``title`` where there are any, ``text``, ``keyphrases`` as a list), ``rejected.jsonl`` (each
    row with its reason, file, row number and original) and ``audit.json``. It appears when
    everything is written, or not at all. Rows stay on the disk while they are worked on.

    Args:
        source: As in ``load_splits``.
        output_dir: Directory to write; must be new or empty.
        task: Names the columns and the separator, as ``Columns`` alone does too; ``None`` is
            ``KeyphraseGeneration()``.
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says.
        tokenizer: Checkpoint directory, hub name or tokenizer that counts tokens.
        min_source_tokens: Fewest tokens of title and text. Needs ``tokenizer``, as the next two.
        max_source_tokens: Most tokens of title and text.
        max_target_tokens: Most tokens of the joined keyphrases and their end token.
        min_keyphrases: Fewest keyphrases of a row, after cleaning.
        max_keyphrases: Most keyphrases of a row.
        language: Keep texts of this language; see ``frtune.data.language.LANGUAGES``.
        near_duplicates: ``"report"`` counts near duplicates across splits, ``"reject"`` also
            drops the one in train (or, of validation and test, the one in validation).
        near_threshold: Jaccard index of character 5-grams that makes near duplicates.
        split: Shares of train, validation and test, or of train and test (``"8:2"``), used for
            the splits that ``source`` lacks.
        validation_rows: Cut so many rows for validation instead of a share.
        test_rows: Cut so many rows for test instead of a share.
        resplit: Split all rows anew, also when ``source`` has splits.
        seed: Of the cut.
        num_proc: Processes; ``None`` uses all cores for large data.

    Returns:
        The audit, as written to ``audit.json``: ``rows``, ``files``, ``rejected``, ``splits``,
        ``leakage``, ``settings``, ``notes``.

    Raises:
        InputError: For input that cannot be read, limits that contradict each other, a directory
            that is not empty, or when no row is left.
    """
    filters = Filters(
        min_source_tokens=min_source_tokens,
        max_source_tokens=max_source_tokens,
        max_target_tokens=max_target_tokens,
        min_keyphrases=min_keyphrases,
        max_keyphrases=max_keyphrases,
        language=language,
    )
    wanted = _wanted(split, validation_rows, test_rows)
    _check_choices(near_duplicates, near_threshold, num_proc)
    output = _free(Path(output_dir))
    columns = _columns(task)
    counter = _tokenizer(tokenizer, filters)
    parts, notes = read_parts(source, encoding=encoding)
    _check_parts(parts, columns)
    settings = {
        **columns._asdict(),
        **asdict(filters),
        "tokenizer": getattr(counter, "name_or_path", None),
        "near_duplicates": near_duplicates,
        "near_threshold": near_threshold,
        "split": split,
        "validation_rows": validation_rows,
        "test_rows": test_rows,
        "resplit": resplit,
        "seed": seed,
    }

    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        table = examine(
            parts,
            work,
            columns=columns,
            filters=filters,
            tokenizer=counter,
            near_threshold=near_threshold,
            num_proc=num_proc,
        )
        fate = Fate.of_filters(table, parts)
        fate.reject_repeats()
        notes += fate.cut(wanted, resplit=resplit, seed=seed, where=name_of(source))
        found = _compare(fate, settings, num_proc)
        report = {"source": name_of(source), **write_rows(fate, work / "output"), **found}
        report |= {"settings": settings, "notes": notes}
        publish(work / "output", output, report)
        return report
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compare(fate: Fate, settings: dict[str, Any], num_proc: int | None) -> dict[str, Any]:
    """Look for leakage between the splits, reject what is to be rejected, and sum up."""
    import numpy as np

    threshold = settings["near_threshold"]
    sources = fate.table.remove_columns(["text"]).rename_column("source", "text")
    pairs = list(near_pairs(sources, fate.split, threshold=threshold))
    if settings["near_duplicates"] == "reject":
        fate.reject_near(pairs)
        pairs = [p for p in pairs if min(fate.split[p.left], fate.split[p.right]) >= 0]
    places = [place for place in range(len(SPLITS)) if (fate.split == place).any()]
    numbers = np.full(len(SPLITS) + 1, REJECTED)  # the last place is that of -1
    numbers[places] = range(len(places))
    return summarize(
        sources,
        numbers[fate.split],
        [SPLITS[place] for place in places],
        near_threshold=threshold,
        pairs=pairs,
        num_proc=num_proc,
    )


# --- checks before anything is read --------------------------------------------------------------


def _wanted(split: str, validation_rows: int | None, test_rows: int | None) -> dict[str, Any]:
    """The splits to cut: a share or a number of rows for each."""
    wanted: dict[str, Any] = parse_ratio(split)
    for name, rows in (("validation", validation_rows), ("test", test_rows)):
        if rows is not None and (not isinstance(rows, int) or rows < 0):
            raise InputError(f"{name}_rows={rows!r}: a whole number, 0 for no {name} split.")
        if rows is not None:
            wanted[name] = rows
    return {name: part for name, part in wanted.items() if part and name != "train"}


def _check_choices(near_duplicates: str, near_threshold: float, num_proc: int | None) -> None:
    choices = list(get_args(NearDuplicates))
    if near_duplicates not in choices:
        raise InputError(
            f"near_duplicates={near_duplicates!r}: {' or '.join(choices)}."
            f"{nearest(str(near_duplicates), choices)}"
        )
    threshold_check(near_threshold)
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc={num_proc}: at least 1. Leave it out to use all cores.")


def _free(output: Path) -> Path:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        kind = "holds files already" if output.is_dir() else "is a file"
        raise InputError(f"output={output}: {kind}. Name a new or an empty directory.")
    return output


def _columns(task: KeyphraseGeneration | Columns | None) -> Columns:
    return Columns(*(getattr(task, name) for name in Columns._fields)) if task else Columns()


def _tokenizer(
    tokenizer: str | Path | PreTrainedTokenizerBase | None, filters: Filters
) -> PreTrainedTokenizerBase | None:
    if tokenizer is None and filters.counting_tokens:
        name = filters.counting_tokens[0]
        raise InputError(
            f"{name}={getattr(filters, name)}: needs a tokenizer to count with. "
            "Pass --tokenizer with the checkpoint that you will train."
        )
    if not isinstance(tokenizer, (str, Path)):
        return tokenizer
    from transformers import AutoTokenizer

    try:
        with quiet_hub():
            return AutoTokenizer.from_pretrained(str(tokenizer))
    except Exception as error:  # Transformers raises whatever its parsers raise
        first = str(error).strip().split("\n")[0]
        raise InputError(
            f"tokenizer={tokenizer}: does not open ({type(error).__name__}: {first}). "
            "Pass a checkpoint directory with a tokenizer, or a hub name."
        ) from None


def _check_parts(parts: list[Part], columns: Columns) -> None:
    for part in parts:
        columns_check(part.rows, columns.needed, part.name)
        separator_check(part.rows, columns.keyphrases_column, columns.separator, part.name)
