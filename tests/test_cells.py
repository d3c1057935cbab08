"""The cells of the capability table, lived through: what runs is what the table says works."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import frtune
from cells import Cell, features_of, task_of
from compatibility_table import cell
from conftest import FAMILY_NAMES
from frtune.models.compatibility import FEATURES, METHODS, SHARDINGS, combinations
from frtune.models.loading import load_saved

CELLS = [
    Cell(family, method, sharding)
    for sharding in SHARDINGS
    for family in FAMILY_NAMES
    for method in METHODS
    if (method, sharding) in combinations(family)
]
# offloading computes as without it; a packed base of one family of each kind
HALF = [
    dataclasses.replace(each, precision="bf16")
    for each in CELLS
    if "offload" not in each.sharding
    and (each.method in ("full", "lora") or each.family in ("bert", "t5", "polyglot"))
]
# of the loss of one process; int8 rounds activations, nf4 computes in bf16
TOLERANCE = {"full": 1e-4, "lora": 1e-4, "int8": 2e-3, "nf4": 2e-3}

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def ran(tiny, tmp_path_factory):
    """What each cell saw, by name, and the folder of what it saved."""
    folder = tmp_path_factory.mktemp("cells")
    checkpoints = {family: str(tiny(family)) for family in FAMILY_NAMES}
    (folder / "checkpoints.json").write_text(json.dumps(checkpoints))
    done = subprocess.run(
        [
            sys.executable, str(Path(__file__).with_name("cells.py")),
            str(folder / "checkpoints.json"), str(folder), *map(str, [*CELLS, *HALF]),
        ],
        capture_output=True,
        text=True,
        timeout=2400,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found = {}
    for rank in (1, 0):  # of what both ran, what rank 0 saw
        place = folder / f"rank{rank}.json"
        assert place.is_file(), f"{done.stdout[-1500:]}\n{done.stderr[-4000:]}"
        found.update(json.loads(place.read_text()))
    yield found, folder
    shutil.rmtree(folder)


def saved(folder: Path, which: Cell) -> Path:
    return folder / str(which).replace("/", "-") / "saved"


@pytest.mark.parametrize("which", CELLS, ids=str)
def test_a_cell_trains_as_one_process_does_saves_and_resumes(which, ran):
    found, folder = ran
    seen = found.get(str(which), {"error": "did not run"})
    assert "error" not in seen, seen["error"]
    one = found[str(Cell(which.family, which.method, "none"))]
    close = TOLERANCE[which.method]
    for step in ("1", "2"):
        for name in ("loss", "grad_norm", "eval_loss"):
            assert seen["steps"][step][name] == pytest.approx(
                one["steps"][step][name], rel=10 * close if name == "grad_norm" else close
            ), (step, name)
    losses = {step: seen["steps"][step]["eval_loss"] for step in ("1", "2")}
    assert not math.isclose(losses["1"], losses["2"], rel_tol=1e-3)
    assert seen["best_loss"] == pytest.approx(losses[seen["best"]], rel=close)
    assert seen["resumed"]["eval_loss"] == pytest.approx(losses["2"], rel=close)
    # consolidated, and opened in a process that knows nothing of the run
    predictor = frtune.load(saved(folder, which), bf16=False)
    assert predictor.predict("The mayor opened a library.")


@pytest.mark.parametrize("which", HALF, ids=str)
def test_a_cell_trains_and_saves_in_bf16_too(which, ran):
    found, folder = ran
    seen = found.get(str(which), {"error": "did not run"})
    assert "error" not in seen, seen["error"]
    one = found[str(dataclasses.replace(which, sharding="none"))]["steps"]["1"]
    exact = found[str(Cell(which.family, which.method, "none"))]["steps"]["1"]
    for name, close in (("loss", 1e-2), ("grad_norm", 0.1), ("eval_loss", 0.1)):
        value = seen["steps"]["1"][name]
        assert value == pytest.approx(one[name], rel=close) and value != exact[name], name
    assert (saved(folder, which) / "frtune_task.json").is_file()  # proven when it was saved


def test_one_process_of_several_answers_alone(ran):
    _, folder = ran
    expected = frtune.load(folder / "t5-full-ddp" / "saved", bf16=False)
    assert json.loads((folder / "alone.json").read_text()) == expected.predict(
        "The mayor opened a library."
    )


@pytest.mark.parametrize(
    "which", [c for c in CELLS if "new_tokens" in features_of(c.family)], ids=str
)
def test_the_rows_of_new_tokens_were_trained_and_saved(which, ran, tiny):
    _, folder = ran
    task = task_of(which.family)
    trained, tokenizer = load_saved(saved(folder, which), task, merge=which.method != "full")
    untrained, _ = frtune.build_model(task, checkpoint=str(tiny(which.family)), proof=False)
    ids = tokenizer.convert_tokens_to_ids(list(task.new_tokens("decoder")))
    rows = [model.get_output_embeddings().weight[ids] for model in (trained, untrained)]
    assert (rows[0] - rows[1]).abs().amax(-1).min() > 1e-3


def test_the_table_says_works_of_what_ran_and_of_nothing_else(ran):
    found, _ = ran
    lived = {
        (name, feature)
        for name, seen in found.items()
        for feature in features_of(name.split("/")[0])
        if "error" not in seen and not name.endswith("/bf16")
    }
    claimed = {
        (f"{family}/{method}/{sharding}", feature)
        for family in FAMILY_NAMES
        for method in METHODS
        for sharding in SHARDINGS
        for feature in FEATURES
        if any("test_cells.py" in test for test in cell(family, method, sharding, feature).tests)
    }
    assert claimed == lived
