"""What CONTRIBUTING.md says to touch for a family and for a task is all that must be touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = """
    Family(
        name="albert",
        title="ALBERT",
        default_checkpoint="albert/albert-base-v2",
        model_types=("albert",),
        tiny=Tiny(
            {None: tokenizers.deberta_unigram},
            {"pad_token_id": "[PAD]", "bos_token_id": "[CLS]", "eos_token_id": "[SEP]"},
            {"embedding_size": 32},
        ),
    ),
"""


def listed(title: str) -> list[str]:
    """Files and folders of the source that the numbered list under a title says to touch."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = page.split(f"## {title}\n")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. (.*)", section, flags=re.MULTILINE)
    return [path for step in steps for path in re.findall(r"`src/frtune/([^`]+)`", step)[:1]]


@pytest.fixture
def source(tmp_path):
    """A copy of the source to change."""
    shutil.copytree(
        ROOT / "src" / "frtune", tmp_path / "frtune",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    return tmp_path / "frtune"


def edit(path: Path, before: str, text: str) -> None:
    """Put ``text`` in front of ``before``, which stands once in the file."""
    content = path.read_text("utf-8")
    assert content.count(before) == 1, (
        f"{path.name}: {before!r} stands {content.count(before)} times"
    )
    path.write_text(content.replace(before, text + before), "utf-8")


def run(source: Path, *command: str) -> str:
    """Run Python on the changed source; what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(source.parent), "HF_HUB_OFFLINE": "1"},
        cwd=source.parent, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list_for_a_family_is_enough(source, corpus):
    row, builders, names = listed("Adding a model family")
    edit(source / row, '    Family(\n        name="bert",', ROW.lstrip("\n"))
    (source / builders).open("a", encoding="utf-8").write('build_albert = builder("albert")\n')
    edit(source / names, "from .models.lora import lora_config",
         "from .models.builders import build_albert as build_albert\n")  # fmt: skip
    printed = run(
        source, "-c",
        "import frtune, json, sys\n"
        "texts = json.loads(sys.argv[1])\n"
        "frtune.tiny_checkpoint('albert', texts, 'tiny')\n"
        "task = frtune.SequenceClassification(labels=['a', 'b'])\n"
        "lora = frtune.lora_config(r=2)\n"
        "model, tokenizer = frtune.build_albert(task, checkpoint='tiny', lora=lora)\n"
        "print(frtune.__file__, model.get_base_model().config.model_type)\n",
        json.dumps(list(corpus[:40])),
    )  # fmt: skip
    assert printed.splitlines()[-1] == f"{source / '__init__.py'} albert"


def test_the_list_for_a_task_is_enough(source, tiny, tmp_path):
    steps = listed("Adding a task")
    file, kept, names = steps[:3]
    assert steps[3:] == ["metrics/", "data/samples/"]  # where the task has scores or a sample
    shutil.copy(ROOT / "tests" / "fifth_task.py", source / file.replace("<task>", "stars"))
    edit(source / kept, "from frtune.version", "from frtune.tasks.stars import Stars\n")
    edit(source / kept, "SequenceClassification, SentenceSimilarity,", "Stars, ")
    edit(source / names, "from .training.arguments import scale",
         "from .tasks.stars import Stars as Stars\n")  # fmt: skip
    rows = [{"text": f"film {i}", "rating": {"stars": 1 + i % 5, "of": 5}} for i in range(40)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run(
        source, "-m", "frtune", "train", "stars", "--data", str(data), "--checkpoint",
        str(tiny("bert")), "--max-steps", "2", "--output-dir", "run",
    )  # fmt: skip
    printed = run(source, "-m", "frtune", "predict", "run", "--text", "A fine film.")
    assert json.loads(printed)["rating"].keys() == {"stars", "of"}
