"""A preflight from end to end, its miniatures, and the warnings that it gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.models.config_sizes import max_positions
from frtune.models.families import FAMILIES, family_for, published_settings
from frtune.preflight.miniature import small_config
from frtune.preflight.run import preflight
from frtune.preflight.stages import PreflightError

ROOT = Path(__file__).parents[2]
REHEARSED = [
    "model", "optimizer step", "evaluation", "checkpoint", "kill and resume", "best checkpoint",
    "save and reload", "test", "report", "predict",
]  # fmt: skip


@pytest.fixture
def articles(tmp_path, corpus):
    path = tmp_path / "articles.jsonl"
    rows = [
        {"text": f"{text} {i}", "keyphrases": text.split()[:2]} for i, text in enumerate(corpus)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("name", [name for row in FAMILIES.values() for name in row.published])
def test_the_miniature_of_every_default_checkpoint_runs(name):
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(**published_settings(name))
    small = small_config(config)
    family = family_for(config.model_type)
    model = getattr(transformers, family.language_model).from_config(small).eval()
    ids = torch.tensor([[5, 6, 7]])
    more = {"decoder_input_ids": ids} if small.is_encoder_decoder else {}
    with torch.no_grad():
        assert model(input_ids=ids, **more).logits.shape == (1, 3, config.vocab_size)
    assert sum(p.numel() for p in model.parameters()) < 20_000_000  # embeddings of 260,000 tokens
    assert max_positions(small) == max_positions(config)


def test_what_looks_wrong_is_a_warning_with_numbers(articles, tiny, tmp_path):
    lines = articles.read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "data").mkdir()
    for name, part in (("train", lines[:17]), ("validation", lines[16:19]), ("test", lines[19:])):
        (tmp_path / "data" / f"{name}.jsonl").write_text("".join(part), "utf-8")
    flags = [
        "--data", str(tmp_path / "data"), "--checkpoint", str(tiny("t5")),
        "--output-dir", str(tmp_path / "never"), "--max-source-tokens", "24",
        "--warmup-steps", "99999999", "--learning-rate", "1",
        "--save-total-limit", "999999999", "--num-train-epochs", "9999999",  # ends it at the disk
    ]  # fmt: skip
    stages = []
    with pytest.raises(PreflightError, match="are free"):
        preflight(*parse_train_arguments("keyphrases", flags), on_stage=stages.append)
    found = {stage.name: " ".join(stage.warnings) for stage in stages}
    assert "validation: 1 of 3 rows (33.3%) have a text that training has too" in found["data"]
    assert "train: 17 of 17 rows (100.0%) longer than max_source_tokens=24" in found["tokens"]
    assert "warmup_steps=99999999: all of the run's" in found["schedule"]
    assert "learning_rate=1: is very high" in found["schedule"]
    assert [stage.status for stage in stages][-1] == "failed"


@pytest.mark.slow
def test_a_sound_run_passes_every_stage_and_leaves_nothing(articles, tiny, tmp_path, capsys):
    flags = [
        "--data", str(articles), "--checkpoint", str(tiny("polyglot")), "--lora",
        "--output-dir", str(tmp_path / "never"), "--max-source-tokens", "64",
        "--metric-for-best-model", "f1_at_10", "--greater-is-better", "true",
        "--generate-every-epochs", "1",
    ]  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    assert main(["preflight", "train", "keyphrases", *flags]) == 0
    printed = capsys.readouterr().out
    assert "preflight passed in" in printed and "failed" not in printed
    names = [name for name in REHEARSED if f"s  {name}" in printed]
    assert names == REHEARSED
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.distributed
def test_two_processes_with_zero_pass(articles, tiny, tmp_path):
    command = [
        Path(sys.executable).parent / "torchrun", "--nproc-per-node", "2",
        "--master-port", str(29_500 + os.getpid() % 1_000), "-m", "frtune", "preflight", "train",
        "keyphrases", "--data", articles, "--checkpoint", tiny("t5"),
        "--output-dir", tmp_path / "never", "--max-source-tokens", "64",
        "--deepspeed", ROOT / "deepspeed_configs" / "zero2.json",
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    assert done.stdout.count("preflight passed in") == 1
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["evaluate", "keyphrases"], "invalid choice: 'evaluate'"),
        (["train"], "TASK"),
        (["train", "keyphrases", "--learnin-rate", "1"], "Did you mean --learning-rate?"),
        (["train", "keyphrases", "--checkpoint", "./nowhere"], "no such directory"),
    ],
)
def test_bad_calls_are_one_line(argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # the default output directory may hold a run where tests start
    assert main(["preflight", *argv]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
