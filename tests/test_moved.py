"""Import paths of 0.1.0 still work, and say where things are now."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import pytest

import frtune
from frtune.moved import MODULES, NAMES


def imported_anew(old: str):
    """What an old module path gives, and the warnings that name it."""
    sys.modules.pop(old, None)
    with pytest.warns(FutureWarning) as caught:
        found = importlib.import_module(old)
    return found, [str(w.message) for w in caught if w.category is FutureWarning]


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_an_old_module_is_the_new_one_and_warns_once(old, new):
    found, messages = imported_anew(f"frtune.{old}")
    assert found is importlib.import_module(f"frtune.{new}")
    assert found.__spec__.name == found.__name__ == f"frtune.{new}"
    assert messages == [f"frtune.{old} has moved to frtune.{new}; the old name goes with 0.3."]


@pytest.mark.parametrize(("old", "new"), NAMES.items())
def test_a_name_that_left_its_module_is_the_new_one_and_warns_once(old, new):
    module, _, name = f"frtune.{old}".rpartition(".")
    home = importlib.import_module(module)
    assert name not in vars(home)
    with pytest.warns(FutureWarning) as caught:
        found = getattr(home, name)
    assert found is getattr(importlib.import_module(f"frtune.{new}"), name)
    message = f"frtune.{old} has moved to frtune.{new}.{name}; the old name goes with 0.3."
    assert [str(w.message) for w in caught] == [message]


def test_a_module_has_no_names_that_it_never_had():
    with pytest.raises(AttributeError, match=r"module 'frtune.run.report' has no attribute 'x'"):
        importlib.import_module("frtune.run.report").x  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"frtune\.adapterz"):
        importlib.import_module("frtune.adapterz")


def test_the_warning_points_at_the_import():
    program = "import frtune.training.lock"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.startswith("<string>:1: FutureWarning: frtune.training.lock has moved")


def test_a_pickle_of_a_moved_class_opens():
    stored = pickle.dumps(frtune.Mixup(), protocol=0)
    assert stored.count(b"frtune.training.mixup.mixup") == 1
    stored = stored.replace(b"frtune.training.mixup.mixup", b"frtune.augment.mixup")
    sys.modules.pop("frtune.augment.mixup", None)
    with pytest.warns(FutureWarning, match=r"frtune\.augment\.mixup"):
        assert pickle.loads(stored) == frtune.Mixup()
