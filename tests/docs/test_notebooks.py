"""The notebooks run from top to bottom, and are kept without outputs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


STUDIES = [path for path in NOTEBOOKS if path.stem.endswith("_study")]
OTHERS = [path for path in NOTEBOOKS if path not in STUDIES]


def test_all_are_here():
    names = {path.stem for path in OTHERS}
    assert names == {"keyphrases", "keywords", "mixup", "quickstart"} and len(STUDIES) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "no plot was shown"


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_this_process(path, tmp_path, monkeypatch):
    """As above without a kernel, whose start would take longer than the notebook."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shell = InteractiveShell()
    values = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found = shell.run_cell(cell.source, store_history=False)
            found.raise_error()
            values.append(found.result)
    assert any(value is not None for value in values), "no cell showed a value"
