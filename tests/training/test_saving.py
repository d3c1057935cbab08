"""What is saved is whole, is what was in memory, and opens again."""

from __future__ import annotations

import json
import os
from unittest.mock import Mock

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file

import frtune
from frtune import InputError, KeyphraseGeneration, build_model, lora_config, training_arguments
from frtune.failures import SavedModelError, failure_line
from frtune.inference import Predictor
from frtune.training.saving import check_output_dir

TEXTS = [
    "La forêt brûlée sera replantée dès l'été.",
    "서울시는 올해 예산안을 확정했다.",
    "The mayor.",
]


@pytest.fixture
def trained(tiny, tmp_path):
    """``trained("polyglot", lora=True)``: a trainer after two steps at a high rate."""

    def make(family, *, lora=False, quantization=None):
        task = KeyphraseGeneration(max_source_tokens=48, max_target_tokens=12)
        rows = Dataset.from_list([{"text": text, "keyphrases": text.split()[:2]} for text in TEXTS])
        model, tokenizer = build_model(
            task,
            checkpoint=str(tiny(family)),
            lora=lora_config(r=4) if lora else None,
            quantization=quantization,
            proof=False,
        )
        args = training_arguments(
            task, str(tmp_path / "run"), max_steps=2, learning_rate=5e-2, bf16=False,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
            disable_tqdm=True,
        )  # fmt: skip
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows, eval_dataset=rows)
        trainer.train()
        return trainer

    return make


def answers(trainer):
    """What the model in memory says of the texts."""
    predictor = Predictor(trainer.task, trainer.model, trainer.processing_class)
    return predictor.predict(TEXTS)


def generated(predictor):
    """Token ids that a predictor writes for the texts."""
    return [row.ids for row in predictor.outputs(predictor.encode([{"text": t} for t in TEXTS]))]


def files_in(directory):
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


# --- the output directory ---------------------------------------------------------------------


def test_a_new_or_empty_output_directory_is_fine(tmp_path):
    check_output_dir(tmp_path)
    check_output_dir(tmp_path / "new" / "deeper")
    check_output_dir(tmp_path / "new", resume=True)
    assert not list(tmp_path.iterdir()), "the check itself creates nothing"


@pytest.mark.parametrize(
    ("name", "resume", "message"),
    [
        ("config.yaml", False, "holds another run. Give a new directory, or pass --resume"),
        ("thesis.docx", False, "holds files (thesis.docx). Give a new directory"),
        ("thesis.docx", True, "holds no run to resume, but thesis.docx. Give a new directory"),
    ],
)
def test_a_directory_that_holds_something_else_is_refused(tmp_path, name, resume, message):
    (tmp_path / name).write_text("x")
    with pytest.raises(InputError) as error:
        check_output_dir(tmp_path, resume=resume)
    assert message in str(error.value) and str(tmp_path) in str(error.value)
    assert (tmp_path / name).read_text() == "x"


def test_a_run_may_be_resumed_in_its_directory(tmp_path):
    (tmp_path / "config.yaml").write_text("k: 10")
    check_output_dir(tmp_path, resume=True)


def test_a_file_is_no_output_directory(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        check_output_dir(tmp_path / "out")


def test_a_place_that_cannot_be_written_is_refused():
    with pytest.raises(InputError, match="cannot be written"):
        check_output_dir("/proc/new/deeper")


# --- a model that comes back ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "lora"),
    [("t5", False), ("bart", False), ("t5", True), ("polyglot", False), ("polyglot", True)],
)
def test_a_saved_model_answers_as_the_one_in_memory(trained, tmp_path, family, lora):
    trainer = trained(family, lora=lora)
    expected = answers(trainer)
    out = frtune.save(trainer, tmp_path / "model")
    assert out == tmp_path / "model"
    predictor = frtune.load(out, bf16=False)
    assert predictor.task == trainer.task
    assert predictor.predict(TEXTS) == expected
    memory = Predictor(trainer.task, trainer.model, trainer.processing_class)
    assert generated(predictor) == generated(memory)
    found = files_in(out)
    weights = "adapter_model.safetensors" if lora else "model.safetensors"
    assert {weights, "frtune_task.json", "tokenizer.json", "tokenizer_config.json"} <= found
    assert not [name for name in found if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_training_had_changed_what_is_compared(trained, tiny):
    trainer = trained("polyglot", lora=True)
    task = trainer.task
    raw, tokenizer = build_model(task, checkpoint=str(tiny("polyglot")), proof=False)
    assert generated(Predictor(task, raw, tokenizer)) != generated(
        Predictor(task, trainer.model, trainer.processing_class)
    )


def test_an_adapter_stores_the_rows_of_new_tokens_and_they_have_moved(trained, tmp_path):
    trainer = trained("polyglot", lora=True)
    frtune.save(trainer, tmp_path / "model")
    saved = load_file(tmp_path / "model" / "adapter_model.safetensors")
    rows = {name: tensor for name, tensor in saved.items() if "lora_" not in name}
    assert len(rows) == 2 and {tensor.shape[0] for tensor in rows.values()} == {4}
    raw, _ = build_model(trainer.task, checkpoint=str(trainer.model.peft_config["default"]
                         .base_model_name_or_path), proof=False)  # fmt: skip
    index = trainer.processing_class.convert_tokens_to_ids(list(trainer.task.new_tokens("decoder")))
    before = raw.get_output_embeddings().weight[index]
    for name, tensor in rows.items():
        if "lm_head" in name:
            assert not torch.allclose(tensor[: len(index)], before, atol=1e-3)


def test_a_merged_model_answers_like_the_adapter(trained, tmp_path):
    trainer = trained("polyglot", lora=True)
    expected = answers(trainer)
    frtune.save(trainer, tmp_path / "model", merge=True)
    merged = tmp_path / "model" / "merged"
    assert {"model.safetensors", "frtune_task.json", "tokenizer.json"} <= files_in(merged)
    assert not (merged / "adapter_model.safetensors").exists()
    predictor = frtune.load(merged, bf16=False)
    assert not hasattr(predictor.model, "peft_config")
    assert predictor.predict(TEXTS) == expected
    assert frtune.load(tmp_path / "model", bf16=False).predict(TEXTS) == expected


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_quantised_base_is_opened_so_again_and_merged_in_full_precision(
    trained, tmp_path, caplog, quantization
):
    trainer = trained("polyglot", lora=True, quantization=quantization)
    expected = answers(trainer)
    out = frtune.save(trainer, tmp_path / "model", merge=True)
    assert frtune.load(out, bf16=False).predict(TEXTS) == expected
    (said,) = [r for r in caplog.records if r.message.startswith("merged: logits differ by")]
    assert 0 < said.args[0] < 1 and "quantised base" in said.message
    merged = load_file(out / "merged" / "model.safetensors")
    assert {tensor.dtype for tensor in merged.values()} == {torch.float32}


def test_saving_again_replaces_what_was_there(trained, tmp_path):
    trainer = trained("t5")
    frtune.save(trainer, tmp_path / "model")
    first = load_file(tmp_path / "model" / "model.safetensors")
    with torch.no_grad():
        trainer.model.get_output_embeddings().weight.add_(0.5)
    frtune.save(trainer, tmp_path / "model")
    second = load_file(tmp_path / "model" / "model.safetensors")
    changed = [name for name in first if not torch.equal(first[name], second[name])]
    assert changed and all("lm_head" in name or "shared" in name for name in changed)


# --- the proof -----------------------------------------------------------------------------------


def tamper(trainer, monkeypatch, name_has, delta):
    """Let ``trainer.save_model`` write other weights than those in memory."""
    original = trainer.save_model

    def save_model(directory, **options):
        original(directory, **options)
        (path,) = [p for p in os.listdir(directory) if p.endswith("model.safetensors")]
        path = os.path.join(directory, path)
        tensors = load_file(path)
        (name, *_) = sorted(name for name in tensors if name_has in name)
        wave = torch.linspace(-delta, delta, tensors[name].numel())  # no shift that norms undo
        tensors[name] = tensors[name] + wave.reshape(tensors[name].shape)
        save_file(tensors, path, metadata={"format": "pt"})

    monkeypatch.setattr(trainer, "save_model", save_model)


@pytest.mark.parametrize(
    ("family", "lora", "name_has"),
    [("t5", False, "decoder.block.0"), ("polyglot", False, "attention"),
     ("polyglot", True, "lora_B"), ("polyglot", True, "embed_in")],
)  # fmt: skip
def test_the_proof_catches_weights_that_are_not_those_in_memory(
    trained, tmp_path, monkeypatch, caplog, family, lora, name_has
):
    trainer = trained(family, lora=lora)
    tamper(trainer, monkeypatch, name_has, 0.5)
    with pytest.raises(RuntimeError, match="gives other logits than the one in memory"):
        frtune.save(trainer, tmp_path / "model")
    model, why = tmp_path / "model", "gives other logits than the one in memory"
    assert (model / ("adapter_model.safetensors" if lora else "model.safetensors")).is_file()
    assert why in json.loads((model / "frtune_unproven.json").read_text())["reason"]
    frtune.load(model)
    (said,) = [r.message for r in caplog.records if "not proven" in r.message]
    assert why in said and "\n" not in said
    monkeypatch.undo()
    frtune.save(trainer, model)
    assert not (model / "frtune_unproven.json").exists()


# what stands in for each: memory, what a library raises, a disk, Ctrl-C and a kill
FAILURES = {
    "memory ran out": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore"),
    "an odd thing": AttributeError("an odd thing. Do that.\nMore"),
    "the disk is full": OSError(28, "No space left on device"),
    "its proof has not ended": KeyboardInterrupt(),
}


def test_a_proof_or_merge_that_fails_keeps_the_model(trained, tmp_path, monkeypatch, caplog):
    trainer, out = trained("polyglot", lora=True), tmp_path / "model"
    for place in ("models.model_verification.open_again", "training.saving.probe_logits"):
        for reason, error in FAILURES.items():
            monkeypatch.setattr(f"frtune.{place}", Mock(side_effect=error))
            kind = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SavedModelError
            with pytest.raises(kind) as raised:
                frtune.save(trainer, out, merge=True)
            assert "\n" not in str(raised.value)
            assert (out / "adapter_model.safetensors").is_file()
            assert json.loads((out / "frtune_unproven.json").read_text()) == {"reason": reason}
            if kind is SavedModelError:
                assert reason in str(raised.value) == failure_line(raised.value)
            assert not [name for name in os.listdir(out) if name.startswith(".")]
        monkeypatch.undo()
    for reason, error in FAILURES.items():
        if isinstance(error, Exception):
            monkeypatch.setattr("frtune.training.saving.write_proven", Mock(side_effect=error))
            with pytest.raises(SavedModelError, match=rf"merge: failed \({reason}\)") as raised:
                frtune.save(trainer, out, merge=True)
            assert failure_line(raised.value) == str(raised.value)
            assert not (out / "frtune_unproven.json").exists() and not (out / "merged").exists()
    assert frtune.load(out, bf16=False).predict(TEXTS) == answers(trainer)


def test_without_the_proof_nothing_is_compared(trained, tmp_path, monkeypatch):
    trainer = trained("t5")
    tamper(trainer, monkeypatch, "decoder.block.0", 0.5)
    frtune.save(trainer, tmp_path / "model", proof=False)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_the_proof_leaves_the_model_in_training_mode(trained, tmp_path):
    trainer = trained("t5")
    trainer.model.train()
    frtune.save(trainer, tmp_path / "model")
    assert trainer.model.training


# --- opening -------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_or_not_whole_is_an_error(trained, tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        frtune.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no frtune_task\.json"):
        frtune.load(tmp_path / "empty")
    trainer = trained("t5")
    out = frtune.save(trainer, tmp_path / "model")
    (out / "model.safetensors").unlink()
    with pytest.raises(InputError) as error:
        frtune.load(out)
    assert "\n" not in str(error.value)


def test_a_task_file_that_was_changed_by_hand_is_read(trained, tmp_path):
    out = frtune.save(trained("t5"), tmp_path / "model")
    path = out / "frtune_task.json"
    content = {**json.loads(path.read_text("utf-8")), "max_target_tokens": 5}
    path.write_text(json.dumps(content))
    predictor = frtune.load(out, bf16=False)
    assert max(map(len, generated(predictor))) <= 5


@pytest.mark.parametrize("text", ["", "  \n", None, 3])
def test_a_blank_text_is_refused_with_its_number(trained, tmp_path, text):
    predictor = frtune.load(frtune.save(trained("t5"), tmp_path / "model"), bf16=False)
    with pytest.raises(InputError, match=r"text 2: .* is blank"):
        predictor.predict(["La forêt.", text])


def test_one_text_and_rows_are_answered_too(trained, tmp_path):
    predictor = frtune.load(frtune.save(trained("t5"), tmp_path / "model"), bf16=False)
    (answer,) = predictor.predict(TEXTS[0])
    assert answer["text"] == TEXTS[0] and isinstance(answer["keyphrases"], list)
    assert predictor.predict([{"text": TEXTS[0], "id": 7}]) == [answer]
    assert predictor.predict({"text": TEXTS[0]}) == [answer]
    assert predictor.predict([]) == []
