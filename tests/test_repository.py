"""The files around the code agree with it."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import yaml
from packaging.requirements import Requirement

import frtune

ROOT = Path(__file__).parents[1]


def test_citation_names_the_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == frtune.__version__


def test_the_workflow_calls_what_ci_runs():
    flow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run") for job in flow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps and (ROOT / ".ci" / "run").stat().st_mode & 0o111


def _browser_step(tmp_path, *programs):
    """Exit code of CI's step for a browser, where these programs alone are there and fail."""
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    step = re.search(r"^browser\(\) \{.*?^\}", text, re.M | re.S)[0]
    for name in ("chromium", "apt-get"):
        (tmp_path / name).unlink(missing_ok=True)
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    script = f"work={tmp_path}; id() {{ echo 0; }}; PATH={tmp_path}\n{step}\nbrowser"
    return subprocess.run(["/bin/bash", "-c", script]).returncode


def test_ci_runs_the_tests_in_a_browser_where_there_is_one_and_else_says_so(tmp_path):
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "not browser" not in text and "SKIPPED, no Chromium here" in text
    assert _browser_step(tmp_path, "chromium") == 0
    assert _browser_step(tmp_path) == 1
    assert _browser_step(tmp_path, "apt-get") == 1, "it could not be installed"


def test_a_nightly_workflow_runs_both_sets_of_versions_on_each_python():
    text = (ROOT / ".github/workflows/versions.yml").read_text(encoding="utf-8")
    flow = yaml.load(text, yaml.BaseLoader)  # "on" stays a word
    assert flow["on"]["schedule"][0]["cron"]
    job = flow["jobs"]["fast-tests"]
    assert ".ci/versions ${{ matrix.set }}" in [step.get("run") for step in job["steps"]]
    assert (ROOT / ".ci" / "versions").stat().st_mode & 0o111
    tried = job["strategy"]["matrix"]["include"]
    assert {cell["set"] for cell in tried} == {"oldest", "newest"}
    project = runpy.run_path(str(ROOT / ".ci" / "versions"))["project"]()
    supported = {line.split()[-1] for line in project["classifiers"] if "Python :: 3." in line}
    assert {cell["python"] for cell in tried if cell["set"] == "newest"} == supported
    assert project["requires-python"] == f">={min(supported, key=lambda v: int(v[2:]))}"


def test_the_oldest_versions_are_the_lower_bounds_of_pyproject():
    script = runpy.run_path(str(ROOT / ".ci" / "versions"))
    needed = [Requirement(line) for line in script["project"]()["dependencies"]]
    bounds = {
        item.name: part.version
        for item in needed
        for part in item.specifier
        if part.operator == ">="
    }
    assert len(bounds) == len(needed), "a library has no lower bound"
    assert {"torch", "transformers", "peft", "datasets", "accelerate"} <= set(bounds)
    held = dict(line.split("==") for line in script["constraints"]("oldest", None))
    assert bounds.items() <= held.items() and {"kiwipiepy", "gradio"} <= set(held)
    assert not {"pytest", "ruff"} & set(held)
    assert script["constraints"]("newest", None) == []
    assert script["constraints"]("newest", "2.13.0") == ["torch==2.13.0"]
    one_build = dict(line.split("==") for line in script["constraints"]("oldest", "2.13.0"))
    assert one_build == {**held, "torch": "2.13.0"}


def test_templates_are_forms_that_a_code_host_reads():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 3
    for form in (path for path in forms if path.name != "config.yml"):
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(content)
        assert len({part["id"] for part in content["body"]}) == len(content["body"])


def test_every_make_target_says_what_it_does():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
    explained = set(re.findall(r"^([a-z-]+):.*## \S", text, re.M))
    assert phony == explained
    assert {"build", "train", "test", "fullrun", "docs", "check"} <= explained
