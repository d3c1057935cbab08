"""Loaded models for the tests of the study."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def fp32():
    """Numbers are compared to six digits, also where bf16 is fast and thus the default."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frtune.environment.hardware.has_bf16", lambda: False)
        yield


@pytest.fixture(scope="session")
def twins(tiny, tmp_path_factory, corpus):
    """``twins("bert")``: directories of two models that differ in their random weights."""
    from frtune import tiny_checkpoint

    built = {}

    def build(family):
        if family not in built:
            other = tmp_path_factory.mktemp("other") / family
            built[family] = tiny(family), tiny_checkpoint(family, corpus, other, seed=1)
        return built[family]

    return build


@pytest.fixture(scope="session")
def opened(tiny):
    """``opened("bert")``: the base of the tiny checkpoint, and its tokenizer."""
    from frtune.study.checkpoints import load_base, read_checkpoint

    built = {}

    def build(directory):
        if directory not in built:
            checkpoint = read_checkpoint("model", directory)
            built[directory] = load_base(checkpoint), checkpoint.tokenizer
        return built[directory]

    return build
