"""The best settings and the recipe trained again with the same seeds, and what the best gained."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frtune.errors import RunStopped
from frtune.files import is_locked, locked
from frtune.run.data import RunData
from frtune.run.part_runs import drop_weights, final_scores, finished, free_memory, has_begun
from frtune.run.run import run
from frtune.run.seed_statistics import Difference, difference_of_runs
from frtune.tuning.study import Search
from frtune.tuning.trial import Make

logger = logging.getLogger(__name__)

SEEDS_FOLDER = "seeds"
_POLL_SECONDS = 1.0
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Gain:
    """One score of the best settings beside the recipe's, with the same seeds.

    Attributes:
        name: The score, without ``eval_``.
        larger_is_better: Its direction.
        tuned: A score for each seed.
        recipe: The same of the recipe.
        difference: Tuned less recipe, paired by seed, with its 95 % interval (Student's t).
    """

    name: str
    larger_is_better: bool
    tuned: list[float]
    recipe: list[float]
    difference: Difference

    @property
    def verdict(self) -> str:
        """``"gain"``, ``"loss"``, or ``"noise"`` where the interval holds zero.

        Example:
            >>> from frtune.run.seed_statistics import difference_of_runs
            >>> tuned, recipe = [0.41, 0.40, 0.42], [0.50, 0.49, 0.52]
            >>> Gain("loss", False, tuned, recipe, difference_of_runs(tuned, recipe)).verdict
            'gain'
            >>> tuned = [0.41, 0.58, 0.42]
            >>> Gain("loss", False, tuned, recipe, difference_of_runs(tuned, recipe)).verdict
            'noise'
        """
        _, low, high, _ = self.difference
        if low <= 0 <= high:
            return "noise"
        return "gain" if (low > 0) is self.larger_is_better else "loss"


def train_with_seeds(
    search: Search, make: Make, data: RunData, *, best: int, seeds: Sequence[int]
) -> dict[int, list[dict[str, float]]]:
    """Train the best trial's settings and the recipe with each seed; none that is done before.

    Several processes share the runs. The models of the best are kept.

    Args:
        search: Its trial 0 is the recipe.
        make: Makes the settings.
        data: Rows of train and validation.
        best: Number of the best trial.
        seeds: The seeds, which no trial had.

    Returns:
        The scores of each seed, by number of the trial.
    """
    places = {
        (number, seed): search.path / SEEDS_FOLDER / f"trial-{number}" / f"seed-{seed}"
        for seed in seeds
        for number in (best, 0)
    }
    while not all(map(finished, places.values())):
        with _next(search.path, [*places.values()]) as place:
            if place is None:  # the last ones are under way in other processes
                time.sleep(_POLL_SECONDS)
                continue
            number, seed = next(key for key, value in places.items() if value == place)
            _train(search, make, data, place, number=number, seed=seed, keep=number == best)
    for (number, _), place in places.items():
        drop_weights(place, keep_model=number == best)
    return {number: [final_scores(places[number, seed]) for seed in seeds] for number in (best, 0)}


def _train(
    search: Search, make: Make, data: RunData, place: Path, *, number: int, seed: int, keep: bool
) -> None:
    what = "the recipe" if number == 0 else f"trial {number}, the best"
    logger.warning("%s, with seed %d: %s", what, seed, place)
    point = search.space.recipe if number == 0 else search.trials()[number].params
    options = {**search.space.options(point), "seed": seed}
    task, settings, args = make(str(place), options)
    settings = replace(settings, resume=has_begun(place))
    if not keep:
        settings = replace(settings, merge=False, proof=False)
    try:
        run(task, settings, args, data=data)
    except RunStopped as stop:
        told = f"stopped in {place.name} of {what}; the same command continues"
        raise RunStopped(stop.signum, told) from None
    free_memory()
    drop_weights(place, keep_model=keep)


@contextlib.contextmanager
def _next(root: Path, places: Sequence[Path]) -> Iterator[Path | None]:
    """The first run that is neither done nor held by another process; it is held meanwhile."""
    with contextlib.ExitStack() as held:
        with locked(root, wait_seconds=_WAIT_SECONDS):
            place = next((each for each in places if not (finished(each) or is_locked(each))), None)
            if place is not None:
                held.enter_context(locked(place))
        yield place


def gains(
    scores: Mapping[int, Sequence[Mapping[str, float]]], *, best: int, names: Mapping[str, bool]
) -> list[Gain]:
    """What the best gained in each score that all runs have.

    Args:
        scores: As ``train_with_seeds`` returns them.
        best: Number of the best trial.
        names: Scores without ``eval_``, and whether larger is better.
    """
    found: list[Gain] = []
    for name, larger in names.items():
        key: Any = f"eval_{name}"
        if all(key in each for runs in scores.values() for each in runs):
            tuned, recipe = ([each[key] for each in scores[number]] for number in (best, 0))
            found.append(Gain(name, larger, tuned, recipe, difference_of_runs(tuned, recipe)))
    return found
