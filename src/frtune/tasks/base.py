"""What every task offers to the builders, the trainer and the command line."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Protocol

ModelKind = Literal["encoder", "encoder-decoder", "decoder"]


class Task(Protocol):
    """The part of a task that a builder needs.

    Attributes:
        name: The task's name on the command line and in ``frtune_task.json``.
        auto_classes: Model kind to the name of the Transformers auto class that carries the head.
            A kind that is not a key does not fit the task.
    """

    name: ClassVar[str]
    auto_classes: ClassVar[dict[ModelKind, str]]

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """Tokens that the model must learn for this task, in the order of their ids."""
        ...

    def config_overrides(self) -> dict[str, Any]:
        """Settings for the model's config: ``num_labels``, ``id2label``, ``problem_type``."""
        ...
