"""What can be done with finished runs, and the command of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from frtune.runs.record import Run

SERVED = ("review", "demo", "rate", "serve")  # they go on until they are stopped


@dataclass(frozen=True)
class Steps:
    """Finished runs, and where a step may write.

    Attributes:
        runs: The runs, the one that is meant first.
        output: What a step is given to write to, by its name: a free place.
    """

    runs: Sequence[Run]
    output: Callable[[str], str]

    @property
    def names(self) -> list[str]:
        """The runs' directories."""
        return [run.name for run in self.runs]

    def words(self, step: str) -> list[str]:
        """The command of a step, without ``frtune``."""
        run, data = self.runs[0], self.runs[0].data
        base = ["--checkpoint", run.checkpoint]
        rows = [f"--head={run.settings['head']}"] if run.settings.get("head") else []
        rows += ["--multi-label"] if run.settings.get("multi_label") else []
        return {
            "review": [
                *("review", data, "--task", run.task, *base, *rows),
                *("--output", self.output("review")),
            ],
            "compare": ["compare", *self.names, "--data", data, "--output", self.output("compare")],
            "quantize": ["quantize", run.name, "--output", self.output("quantize")],
            "demo": ["demo", *self.names],
            "rate": ["rate", *self.names, "--output", self.output("rate")],
            "serve": ["serve", run.name],
            "export": ["export", run.name, "--to", "onnx", "--output", self.output("export")],
            "tune": [
                *("tune", run.task, "--data", data, *base, *rows),
                *("--output-dir", self.output("tune")),
            ],
            "curve": [
                *("train", run.task, "--config", f"{run.name}/config.yaml", "--learning-curve"),
                *("--output-dir", self.output("curve")),
            ],
        }[step]


# steps of one click
CLICKS = (
    "review", "tune", "curve", "compare", "quantize", "demo", "rate", "serve", "export",
)  # fmt: skip
QUEUED = ("review", "tune", "curve")  # they train, and wait for those that do


def known(steps: Sequence[str], commands: Collection[str]) -> list[str]:
    """The steps whose command there is.

    Example:
        >>> known(("review", "export"), {"review"})
        ['review']
    """
    return [step for step in steps if step in commands]


def free_output(run: str, step: str, exists: Callable[[str], bool]) -> str:
    """A directory beside a run for what a step writes, numbered where it is taken.

    Example:
        >>> free_output("runs/a", "quantize", {"runs/a-quantize"}.__contains__)
        'runs/a-quantize-2'
    """
    path, number = PurePosixPath(run), 1
    found = f"{path.parent}/{path.name}-{step}"
    while exists(found):
        number += 1
        found = f"{path.parent}/{path.name}-{step}-{number}"
    return found
