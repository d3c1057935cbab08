"""The image and the compose file serve a model that they cannot change."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import yaml

from frtune.cli.arguments import Parser, options_of
from frtune.cli.serve import Options
from frtune.http_api.settings import ServerSettings

ROOT = Path(__file__).parents[2]
SERVICE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["serve"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_compose_mounts_the_model_read_only_and_nothing_else():
    (volume,) = SERVICE["volumes"]
    assert volume["read_only"] is True and volume["target"] == SERVICE["command"][0]
    assert SERVICE["read_only"] is True and SERVICE["tmpfs"] == ["/tmp"]
    assert SERVICE["ports"] == ["127.0.0.1:8000:8000"]


def test_compose_builds_the_stage_that_serves_and_its_words_are_understood():
    stages = [shlex.split(line) for line in DOCKERFILE.splitlines() if line.startswith("FROM ")]
    assert SERVICE["build"]["target"] in [words[3] for words in stages]
    assert stages[-1][3] == "frtune", "docker build without --target builds what trains"
    parser = Parser(prog="frtune serve")
    parser.add_options(None, options_of(Options, positional=["directories"]))
    parser.add_options("server", options_of(ServerSettings))
    found = parser.parse(["--host", "0.0.0.0", *SERVICE["command"]])
    assert found.directories == ["/models/model"] and found.allowed_hosts == ["serve"]
    grace = int(SERVICE["stop_grace_period"].removesuffix("s"))
    assert grace > ServerSettings().stop_seconds
    assert f"EXPOSE {ServerSettings().port}" in DOCKERFILE


def test_serving_changes_no_file_of_the_model(server, saved):
    def state(folder):
        return {
            path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file()
        }

    before = state(saved["classes"])
    assert server.predict("classes", {"text": "budget"})[0] == 200
    assert state(saved["classes"]) == before
