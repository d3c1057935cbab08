"""What ``lint-imports`` does not see: names with an underscore, and imports inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

import frtune

SOURCE = Path(frtune.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
# a program starts fast because these, and what they import, load the rest on first use
DOORS = {"__init__.py", "cli/__init__.py", "errors.py", "moved.py"}
# what a user may do without, or what loads slowly or noisily
EXTRAS = {
    "bitsandbytes", "cleanlab", "deepspeed", "gradio", "json_repair", "kiwipiepy", "konlpy",
    "krippendorff", "matplotlib", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "openai",
    "python_calamine", "resource", "sacremoses",
    "starlette",
}  # fmt: skip


def foreign_private_names(source: str, package: str) -> list[str]:
    """Names with an underscore that ``source``, a module of ``package``, takes from another one."""
    return [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("frtune.")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
        and node.module.rpartition(".")[0] != package
    ]  # fmt: skip


def inner_imports(source: str) -> list[str]:
    """Packages that are imported inside functions."""
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    imports = {
        node: None
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return [
        node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in imports
    ]


def package_of(path: Path) -> str:
    return ".".join(["frtune", *path.relative_to(SOURCE).parts[:-1]])


def test_no_package_takes_a_private_name_of_another():
    found = {
        str(path.relative_to(SOURCE)): names
        for path in FILES
        if (names := foreign_private_names(path.read_text("utf-8"), package_of(path)))
    }
    assert found == {}


def test_imports_stand_at_the_top_but_for_extras_and_the_two_doors():
    found = {
        str(path.relative_to(SOURCE)): names
        for path in FILES
        if str(path.relative_to(SOURCE)) not in DOORS
        and (
            names := [
                name
                for name in inner_imports(path.read_text("utf-8"))
                if name.split(".")[0] not in EXTRAS
            ]
        )
    }
    assert found == {}


def test_the_checks_see_what_they_look_for():
    private = "from frtune.models.weights import _quiet\nfrom frtune.data import cleaning\n"
    assert foreign_private_names(private, "frtune.study") == ["frtune.models.weights._quiet"]
    assert foreign_private_names(private, "frtune.models") == []
    assert inner_imports("import json\ndef f():\n    import torch\n    from a.b import c\n") == [
        "torch", "a.b",
    ]  # fmt: skip
