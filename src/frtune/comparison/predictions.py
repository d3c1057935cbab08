"""Two files of answers to the same rows, held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.comparison.row_scores import paired_difference
from frtune.files import draft_folder, staged, write_json
from frtune.metrics.bootstrap import Score
from frtune.outputs import check_output_directory
from frtune.predictions import ScoredPredictions, score_predictions
from frtune.tasks.base import Task


def compare_predictions(
    first: str | Path | Dataset | Sequence[Any],
    second: str | Path | Dataset | Sequence[Any],
    data: str | Path | Dataset,
    task: str | Path | Task,
    *,
    output_dir: str | Path | None = None,
    samples: int = 2000,
    **options: Any,
) -> dict[str, Any]:
    """Compare two lists or files of answers on the same rows, by a paired bootstrap.

    Args:
        first: Answers, as for ``frtune.evaluate_predictions``.
        second: Other answers; these are held against the first.
        data: The rows that were answered.
        task: As for ``frtune.evaluate_predictions``.
        output_dir: Where ``comparison.json`` goes, and in ``first`` and ``second`` what
            ``evaluate_predictions`` writes of each; ``None`` writes nothing.
        samples: Resamples; the draws are the same for both.
        **options: Of ``frtune.evaluate_predictions``: ``split``, ``max_rows``, ``columns``,
            ``settings``, and how the data is read.

    Returns:
        ``task``, ``rows``, ``first`` and ``second`` (``predictions`` and ``metrics``); ``score``,
        the name of the task's main score; ``difference`` of it, second less first, with the 95 %
        interval ``difference_low`` to ``difference_high``; ``p_value`` of the paired test,
        and ``p_note`` where the rows are too few for one.

    Raises:
        InputError: As ``evaluate_predictions``.

    Example:
        >>> from datasets import Dataset
        >>> pair = {"text": ["Le vent.", "Le sel."], "label": ["a", "b"]}
        >>> rows = Dataset.from_dict({name: values * 20 for name, values in pair.items()})
        >>> found = compare_predictions(["a"] * 40, ["a", "b"] * 20, rows, "classification")
        >>> found["score"], round(found["difference"], 2), found["p_value"] < 0.05
        ('f1_macro', 0.67, True)
    """
    if output_dir is not None:
        check_output_directory(output_dir)
    both = score_predictions([first, second], data, task, **options)
    with staged(output_dir) if output_dir is not None else draft_folder() as draft:
        found: dict[str, Any] = {"task": both[0].task.name, "rows": len(both[0].rows)}
        for name, scored in zip(("first", "second"), both, strict=True):
            place = draft / name
            place.mkdir()
            found[name] = {"predictions": scored.name, "metrics": scored.write(place)}
        main = both[0].task.main_score
        first_score, second_score = (scored.scores[main] for scored in both)
        said = ([s.task.prediction(each)["prediction"] for each in s.answers] for s in both)
        unlike = sum(a != b for a, b in zip(*said, strict=True))
        found |= {
            "score": main,
            "difference": second_score - first_score,
            **paired_difference(*map(_resample, both), len(both[0].rows), unlike, samples),
        }
        write_json(draft / "comparison.json", found)
    return found


def _resample(scored: ScoredPredictions) -> Score:
    return scored.task.row_score(scored.answers, scored.task.references(scored.rows))
