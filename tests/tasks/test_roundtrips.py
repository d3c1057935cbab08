"""FlauBERT with LoRA, CamemBERT with LoRA on int8, Phi with LoRA on nf4: train, save, reload."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

import frtune
from frtune.cli import main

ROADS = [("flaubert", None), ("camembert", "int8"), ("phi", "nf4")]
WORDS = {"loyer": "loyer du bureau", "poste": "timbres et colis", "énergie": "facture de gaz"}


def rows(count=30):
    """Ragged rows of three classes, which also serve as texts with a keyword."""
    names = [list(WORDS)[i % 3] for i in range(count)]
    texts = [f"{WORDS[name]} " + "la ville " * (i * 7 % 11) for i, name in enumerate(names)]
    keywords = [[WORDS[name].split()[-1]] for name in names]
    return Dataset.from_dict({"text": texts, "label": names, "keywords": keywords})


@pytest.mark.parametrize(("family", "quantization"), ROADS)
def test_the_trained_model_answers_alike_after_reloading(family, quantization, tiny, tmp_path):
    torch.manual_seed(0)
    data = rows()
    task = frtune.SequenceClassification().fit(data)
    model, tokenizer = frtune.build_model(
        task, checkpoint=tiny(family), lora=frtune.lora_config(r=4), quantization=quantization
    )
    args = frtune.training_arguments(
        task, str(tmp_path / "run"), max_steps=6, learning_rate=3e-3, bf16=False,
        per_device_train_batch_size=8, eval_strategy="no", save_strategy="no",
        load_best_model_at_end=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = task.trainer(model, tokenizer, args, train_dataset=data)
    untrained = np.stack(trainer.predict(data).predictions)
    trainer.train()
    expected = np.stack(trainer.predict(data).predictions)
    assert np.abs(expected - untrained).max() > 0.1
    frtune.save(trainer, tmp_path / "model")

    predictor = frtune.load(tmp_path / "model", bf16=False)
    found = np.stack(predictor.outputs(predictor.encode(data)))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    answers = [answer["label"] for answer in predictor.predict(data["text"])]
    assert answers == [task.labels[i] for i in expected.argmax(-1)]
    assert bool(getattr(predictor.model, "is_quantized", False)) == (quantization is not None)
    saved = load_file(tmp_path / "model" / "adapter_model.safetensors")
    live = {
        name.replace(".modules_to_save.default", ""): p
        for name, p in trainer.model.named_parameters()
        if ".modules_to_save.default" in name
    }
    assert any(name.endswith(".weight") for name in live)
    for name, head in live.items():
        assert torch.equal(saved[name], head.detach().cpu()) and head.requires_grad


AGAIN = """
import json, sys, frtune
predictor = frtune.load(sys.argv[1], bf16=False)
with open(sys.argv[2], encoding="utf-8") as file:
    rows = [json.loads(line) for line in file]
print(json.dumps(predictor.predict(rows)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "family", "flags"),
    [
        ("similarity", "flaubert", ["--lora"]),
        ("keywords", "camembert", ["--lora", "--int8"]),
        ("classification", "phi", ["--lora", "--nf4"]),
    ],
)
def test_a_fresh_process_answers_as_the_run_did(task, family, flags, tmp_path):
    run = tmp_path / "run"
    command = ["train", task, "--output-dir", str(run), "--family", family, *flags]
    command += ["--num-train-epochs", "1", "--max-train-rows", "60", "--max-test-rows", "20"]
    assert main([*command, "--disable-tqdm", "true"]) == 0
    written = [json.loads(x) for x in (run / "predictions.jsonl").read_text("utf-8").splitlines()]
    columns = ("sentence1", "sentence2") if task == "similarity" else ("text",)
    lines = [
        json.dumps(dict(zip(columns, (row["input"], row.get("input_pair")), strict=False)))
        for row in written
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    shown = subprocess.run(
        [sys.executable, "-c", AGAIN, str(run), str(path)], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    answers = json.loads(shown.stdout.splitlines()[-1])
    assert len(answers) == len(written) > 10
    for answer, row in zip(answers, written, strict=True):
        if task == "keywords":
            assert [found["text"] for found in answer["keywords"]] == row["prediction"]
        else:
            assert answer["label"] == row["prediction"]
            score = "score" if task == "classification" else "similarity"
            assert answer[score] == pytest.approx(row[score], abs=1e-4)
