"""The files around the code agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import frtune

ROOT = Path(__file__).parents[1]


def test_citation_names_the_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == frtune.__version__


def test_the_workflow_calls_what_ci_runs():
    flow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run") for job in flow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps and (ROOT / ".ci" / "run").stat().st_mode & 0o111


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
