"""The tests that show what the capability table calls working, as data.

A row says that ``test`` trains (generates, ...) with each of its families, methods and shardings.
Shardings are shown by two processes on CPUs, over gloo.
"""

from __future__ import annotations

from dataclasses import dataclass

from frtune.models.families import FAMILIES
from kinds import CHECKPOINTING, DECODERS, ENCODERS, GENERATING, IN_DEPTH, OTHERS

_ALL = IN_DEPTH
_GENERATING_OTHERS = tuple(name for name in OTHERS if FAMILIES[name].kind != "encoder")
_OTHER_DECODERS = tuple(name for name in OTHERS if FAMILIES[name].kind == "decoder")
_CHECKPOINTING_ENCODERS = tuple(name for name in ENCODERS if name in CHECKPOINTING)
_QUANTIZED = ("int8", "nf4")
_UNSPLIT = ("none", "ddp", "zero2", "zero2_offload")
_SHARDINGS = (*_UNSPLIT, "zero3", "zero3_offload")


@dataclass(frozen=True)
class Evidence:
    """What one test shows.

    Attributes:
        test: The test's id, from the root of the repository.
        families: Model families that it runs.
        methods: Of ``full``, ``lora``, ``int8``, ``nf4``.
        shardings: Of ``none``, ``ddp`` and the four of ZeRO.
        features: What it shows: ``train``, ``generate``, ``checkpointing``, ``new_tokens``,
            ``resume``.
    """

    test: str
    families: tuple[str, ...]
    methods: tuple[str, ...] = ("full",)
    shardings: tuple[str, ...] = ("none",)
    features: tuple[str, ...] = ("train",)


_BUILD = "tests/models/test_build.py::"
_WALK = (
    "tests/models/test_family_walk.py::"
    "test_a_family_trains_in_full_and_with_lora_is_saved_loaded_merged_and_planned"
)
_LAUNCH = "tests/examples/test_launches.py::test_example_runs_under_each_launcher"
# every cell that is not refused, in the same two processes
_CELLS = "tests/test_cells.py::test_a_cell_trains_as_one_process_does_saves_and_resumes"
_ROWS = "tests/test_cells.py::test_the_rows_of_new_tokens_were_trained_and_saved"
_FULL_LORA = ("full", "lora")
_GENERATES = ("train", "generate", "checkpointing", "resume")

EVIDENCE = (
    Evidence(f"{_BUILD}test_full_training_moves_every_weight", _ALL),
    Evidence(f"{_BUILD}test_full_training_moves_every_weight", DECODERS, features=("new_tokens",)),
    Evidence(
        f"{_BUILD}test_lora_trains_exactly_its_updates_the_head_and_new_rows", _ALL, ("lora",)
    ),
    Evidence(
        f"{_BUILD}test_lora_trains_exactly_its_updates_the_head_and_new_rows",
        DECODERS,
        ("lora",),
        features=("new_tokens",),
    ),
    Evidence(f"{_BUILD}test_lora_trains_on_a_quantised_base", _ALL, _QUANTIZED),
    Evidence(
        f"{_BUILD}test_lora_trains_on_a_quantised_base",
        DECODERS,
        _QUANTIZED,
        features=("new_tokens",),
    ),
    Evidence(
        f"{_BUILD}test_gradient_checkpointing_trains_the_same_updates",
        CHECKPOINTING,
        ("lora",),
        features=("train", "checkpointing"),
    ),
    Evidence(
        "tests/models/test_compatibility.py::test_gradient_checkpointing_runs_each_layer_twice_and_trains",
        CHECKPOINTING,
        ("full", "lora", *_QUANTIZED),
        features=("checkpointing",),
    ),
    Evidence(
        "tests/training/test_trainer.py::test_resumed_training_ends_with_the_same_weights",
        ("t5",),
        features=("train", "resume"),
    ),
    Evidence(
        "tests/training/test_trainer.py::test_resumed_training_ends_with_the_same_weights",
        ("polyglot",),
        ("lora",),
        features=("train", "new_tokens", "resume"),
    ),
    Evidence(_CELLS, ENCODERS, _FULL_LORA, _SHARDINGS, ("train", "resume")),
    Evidence(_CELLS, ENCODERS, _QUANTIZED, _UNSPLIT, ("train", "resume")),
    Evidence(_CELLS, _CHECKPOINTING_ENCODERS, _FULL_LORA, _SHARDINGS, ("checkpointing",)),
    Evidence(_CELLS, _CHECKPOINTING_ENCODERS, _QUANTIZED, _UNSPLIT, ("checkpointing",)),
    Evidence(_CELLS, GENERATING, _FULL_LORA, _SHARDINGS, _GENERATES),
    Evidence(_CELLS, GENERATING, _QUANTIZED, _UNSPLIT, _GENERATES),
    Evidence(_ROWS, DECODERS, _FULL_LORA, _SHARDINGS, ("new_tokens",)),
    Evidence(_ROWS, DECODERS, _QUANTIZED, _UNSPLIT, ("new_tokens",)),
    Evidence(_WALK, OTHERS, _FULL_LORA),
    Evidence(_WALK, OTHERS, ("lora",), features=("checkpointing",)),
    Evidence(_WALK, _GENERATING_OTHERS, _FULL_LORA, features=("generate",)),
    Evidence(_WALK, _OTHER_DECODERS, _FULL_LORA, features=("new_tokens",)),
    Evidence(_LAUNCH, ("t5",), shardings=("none", "ddp"), features=("train", "generate")),
    Evidence(_LAUNCH, ("polyglot",), ("int8",), ("ddp",), ("train", "generate", "new_tokens")),
    Evidence(_LAUNCH, ("polyglot",), ("full",), ("zero3",), ("train", "generate", "new_tokens")),
    Evidence(
        "tests/test_two_hosts.py::test_two_hosts_train_one_model_under_zero2",
        ("t5",),
        shardings=("zero2",),
        features=("train", "generate"),
    ),
)
