"""The tests that show what the capability table calls working, as data.

A row says that ``test`` trains (generates, ...) with each of its families, methods and shardings.
Shardings are shown by two processes on CPUs, over gloo.
"""

from __future__ import annotations

from dataclasses import dataclass

_ENCODERS = ("camembert", "flaubert", "bert")
_SEQ2SEQ = ("t5", "bart")
_DECODERS = ("polyglot", "gptj", "llama", "phi")
_ALL = (*_ENCODERS, *_SEQ2SEQ, *_DECODERS)
_QUANTIZED = ("int8", "nf4")
_ZERO = ("zero2", "zero2_offload", "zero3", "zero3_offload")


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
_LAUNCH = "tests/examples/test_launches.py::"
_GENERATES = ("train", "generate")
_WITH_TOKENS = ("train", "new_tokens")
_DECODES = ("train", "generate", "new_tokens")

EVIDENCE = (
    Evidence(f"{_BUILD}test_full_training_moves_every_weight", _ALL),
    Evidence(f"{_BUILD}test_full_training_moves_every_weight", _DECODERS, features=("new_tokens",)),
    Evidence(
        f"{_BUILD}test_lora_trains_exactly_its_updates_the_head_and_new_rows", _ALL, ("lora",)
    ),
    Evidence(
        f"{_BUILD}test_lora_trains_exactly_its_updates_the_head_and_new_rows",
        _DECODERS,
        ("lora",),
        features=("new_tokens",),
    ),
    Evidence(f"{_BUILD}test_lora_trains_on_a_quantised_base", _ALL, _QUANTIZED),
    Evidence(
        f"{_BUILD}test_lora_trains_on_a_quantised_base",
        _DECODERS,
        _QUANTIZED,
        features=("new_tokens",),
    ),
    Evidence(
        f"{_BUILD}test_gradient_checkpointing_trains_the_same_updates",
        ("t5", "polyglot", "camembert"),
        ("lora",),
        features=("train", "checkpointing"),
    ),
    Evidence(
        "tests/test_capabilities.py::test_gradient_checkpointing_runs_each_layer_twice_and_trains",
        tuple(family for family in _ALL if family != "flaubert"),
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
    Evidence(
        "tests/training/test_loss_equality.py::"
        "test_two_processes_give_the_loss_and_gradient_norm_of_one",
        ("t5", "polyglot"),
        shardings=("ddp",),
    ),
    Evidence(
        f"{_LAUNCH}test_example_runs_under_each_launcher",
        ("t5",),
        shardings=("none", "ddp", "zero2"),
        features=_GENERATES,
    ),
    Evidence(
        f"{_LAUNCH}test_example_runs_under_each_launcher",
        ("polyglot",),
        shardings=("none", "ddp", "zero2"),
        features=_DECODES,
    ),
    Evidence(
        f"{_LAUNCH}test_each_zero_file_trains_saves_and_reloads",
        ("t5",),
        shardings=_ZERO,
        features=_GENERATES,
    ),
    Evidence(
        f"{_LAUNCH}test_each_zero_file_trains_saves_and_reloads",
        ("polyglot",),
        ("lora",),
        _ZERO,
        _DECODES,
    ),
    Evidence(
        f"{_LAUNCH}test_int8_base_trains_an_adapter_under_torchrun",
        ("polyglot",),
        ("int8",),
        ("ddp",),
        _DECODES,
    ),
    Evidence(
        "tests/models/test_zero3.py::test_new_tokens_train_save_and_reload_under_zero3",
        ("polyglot",),
        ("full", "lora"),
        ("zero3",),
        _WITH_TOKENS,
    ),
    Evidence(
        "tests/models/test_zero3.py::test_new_tokens_train_save_and_reload_under_zero3",
        ("gptj",),
        ("lora",),
        ("zero3",),
        _WITH_TOKENS,
    ),
)
