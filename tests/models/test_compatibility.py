"""The capability table: true to its tests, to what builders refuse, and to the docs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from compatibility_table import cell, markdown
from conftest import FAMILY_NAMES
from evidence import EVIDENCE
from frtune import InputError
from frtune.models.compatibility import (
    ALONE,
    FEATURES,
    METHODS,
    REFUSALS,
    SHARDINGS,
    check,
    combinations,
    method_name,
)
from frtune.models.families import FAMILIES, trained_by_tests

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("test", sorted({row.test for row in EVIDENCE}))
def test_the_tests_that_the_table_names_exist(test):
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_evidence_is_of_known_combinations_and_of_none_that_is_refused():
    for row in EVIDENCE:
        assert set(row.families) <= set(FAMILIES)
        for family in row.families:
            for method in row.methods:
                for sharding in row.shardings:
                    for feature in row.features:
                        found = cell(family, method, sharding, feature)
                        assert found.status == "works", (row, family, feature)
                        assert row.test in found.tests


def test_each_cell_has_what_its_status_promises():
    seen = {name: set() for name in ("in depth", "others")}
    for family in FAMILIES:
        for method in METHODS:
            for sharding in SHARDINGS:
                for feature in FEATURES:
                    found = cell(family, method, sharding, feature)
                    seen["in depth" if family in FAMILY_NAMES else "others"].add(found.status)
                    assert bool(found.tests) == (found.status == "works")
                    assert (found.refusal is not None) == (found.status == "refused")
    assert seen["in depth"] == {"works", "refused", "absent"}, "each cell is shown or refused"
    assert seen["others"] == {"works", "refused", "absent", "untested"}


def test_the_plan_calls_shown_what_the_table_shows():
    for family in FAMILIES:
        for method, sharding in combinations(family):
            shown = cell(family, method, sharding, "train").status == "works"
            assert (family in trained_by_tests(method, sharding)) == shown


@pytest.mark.parametrize(
    ("family", "wanted", "message"),
    [
        ("t5", {"method": "full", "features": ["fp16"]}, "t5 overflows.*bfloat16"),
        ("flaubert", {"method": "lora", "features": ["checkpointing"]}, "does not implement it"),
        ("bert", {"method": ALONE}, "with LoRA only.*lora_config"),
        ("llama", {"method": "nf4", "sharding": "zero3_offload"}, "Use ZeRO-2"),
        ("bart", {"method": "lora", "features": ["new_tokens"]}, "'x' on bart.*Train in full"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(family, wanted, message):
    with pytest.raises(InputError, match=message):
        check(family, task="x", quantization="nf4", **wanted)


def test_each_refusal_covers_something():
    for rule in REFUSALS:
        assert any(map(rule.families, FAMILIES.values())) and rule.methods and rule.shardings


def test_quantisation_without_lora_is_no_method():
    assert method_name(lora=False, quantization="int8") not in METHODS


def test_combinations_are_those_that_are_not_refused():
    for family in FAMILIES:
        found = combinations(family)
        assert len(found) == 20
        assert not {("int8", "zero3"), ("nf4", "zero3_offload")} & set(found)


def test_each_sharding_of_deepspeed_has_a_shipped_file():
    files = {path.stem for path in (ROOT / "deepspeed_configs").glob("*.json")}
    assert files == {sharding for sharding in SHARDINGS if sharding.startswith("zero")}


def test_the_docs_have_the_table_as_it_is():
    page = (ROOT / "docs" / "memory.md").read_text("utf-8")
    shown = page.split("<!-- python tests/compatibility_table.py -->\n")[1].split("<!-- end -->")[0]
    assert shown.strip() == markdown().strip()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", [f for f in FAMILY_NAMES if FAMILIES[f].gradient_checkpointing])
def test_gradient_checkpointing_runs_each_layer_twice_and_trains(family, method, tiny):
    from transformers.modeling_layers import GradientCheckpointingLayer

    from conftest import CORPUS
    from frtune import build_model, lora_config
    from tasks import batch_for, task_for

    model, tokenizer = build_model(
        task_for(family),
        checkpoint=tiny(family),
        lora=None if method == "full" else lora_config(),
        quantization=method if method in ("int8", "nf4") else None,
        gradient_checkpointing=True,
        proof=False,
    )
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    runs = []
    for layer in layers:  # what is in it runs once more in the backward pass
        part = next(m for m in layer.modules() if "Norm" in type(m).__name__)
        part.register_forward_pre_hook(lambda *_: runs.append(1))
    model(**batch_for(model, tokenizer, CORPUS[:3])).loss.backward()
    assert layers and len(runs) == 2 * len(layers)
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    moved = [name for name, grad in trained.items() if grad is not None and grad.abs().sum() > 0]
    assert any("lora_B" in name for name in moved) if method != "full" else len(moved) > 10
