"""Computing in bf16 changes no label that fp32 gives; weights are of the type asked for."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from datasets import Dataset

from frtune import (
    InputError,
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
    quantize,
)
from frtune.cli import main
from frtune.inference import Predictor, load
from frtune.inference_precision import CLOSE, close_calls
from frtune.models.families import FAMILIES
from frtune.tasks.config_file import save_task
from kinds import DECODERS, SEQ2SEQ
from pretended import A100, GTX_1080, T4, pretend

TEXTS = [f"le maire ouvre la ville {i}" for i in range(24)]


@pytest.fixture(scope="module")
def outputs(tiny):
    """``outputs(scale, bf16)``: logits, with the weights of the head times ``scale``."""
    rows = Dataset.from_dict({"text": TEXTS, "label": [*"ab"] * 12})
    task = SequenceClassification().fit(rows)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    def run(scale, bf16):
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(weights[name] * (scale if name.startswith("classifier") else 1))
        predictor = Predictor(task, model.eval(), tokenizer, batch_size=5, bf16=bf16)
        return np.stack(predictor.outputs(predictor.encode([{"text": text} for text in TEXTS])))

    return run


def test_close_rows_are_computed_in_fp32_and_others_are_not(outputs):
    fp32, bf16 = outputs(1e-3, bf16=False), outputs(1e-3, bf16=True)
    assert close_calls(list(bf16)) == set(range(len(TEXTS)))
    np.testing.assert_allclose(bf16, fp32, rtol=1e-5, atol=1e-7)
    fp32, bf16 = outputs(300, bf16=False), outputs(300, bf16=True)
    clear = sorted(set(range(len(TEXTS))) - close_calls(list(bf16)))
    assert clear and np.abs(bf16 - fp32)[clear].max() > 1e-4, "bf16 was not used at all"
    assert (bf16.argmax(-1) == fp32.argmax(-1)).all()


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[0.0, CLOSE], [0.0, 3 * CLOSE]], {0}),  # near a half, half the difference of the logits
        ([[900.0, 900.0, 0.0], [900.0, 0.0, 0.0]], {0}),
        ([[0.0, 5.0], [5.0, 5.0]], {1}),
        ([[2.0], [2.0]], set()),
        ([[[0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], set()),
        ([], set()),
    ],
)
def test_close_is_said_of_two_best_classes_of_a_text(logits, expected):
    assert close_calls([np.array(row, dtype=np.float32) for row in logits]) == expected


@pytest.fixture(scope="module")
def directory(tiny, tmp_path_factory):
    """``directory("llama")``: a saved model of the family that generates keyphrases."""
    found = {}

    def make(family, **options):
        if (key := (family, *options)) not in found:
            task = KeyphraseGeneration(max_source_tokens=48, max_target_tokens=4)
            place = tmp_path_factory.mktemp(family)
            parts = build_model(task, checkpoint=str(tiny(family)), proof=False, **options)
            for part in parts:
                part.save_pretrained(place)
            save_task(task, place)
            found[key] = place
        return found[key]

    return make


@pytest.mark.parametrize(
    ("dtype", "expected", "bf16"),
    [("fp32", torch.float32, False), ("bf16", torch.bfloat16, True),
     ("fp16", torch.float16, False), (torch.bfloat16, torch.bfloat16, True)],
)  # fmt: skip
@pytest.mark.parametrize("lora", [None, lora_config()], ids=["full", "lora"])
def test_weights_are_of_the_type_asked_for(directory, lora, dtype, expected, bf16):
    place = directory(DECODERS[0], **({"lora": lora} if lora else {}))
    predictor = load(place, dtype=dtype)
    assert predictor.model.get_input_embeddings().weight.dtype == expected
    assert predictor.bf16 is bf16
    assert predictor.predict("Le maire ouvre la ville.")[0]["keyphrases"] is not None
    assert load(place, dtype=dtype, bf16=True).bf16 is True


def test_a_type_that_does_not_go_is_refused(directory, tmp_path):
    seq2seq = next(name for name in SEQ2SEQ if not FAMILIES[name].fp16)
    with pytest.raises(InputError, match=f"dtype='float16': {seq2seq} overflows in fp16"):
        load(directory(seq2seq), dtype="fp16")
    with pytest.raises(InputError, match="dtype='int8': one of"):
        load(directory(seq2seq), dtype="int8")
    quantize(directory(seq2seq), tmp_path / "int8", proof=False)
    with pytest.raises(InputError, match=r"is quantised\. Leave it out"):
        load(tmp_path / "int8", dtype="fp32")


def test_large_decoders_are_in_16_bits_on_a_gpu_unless_told(directory, monkeypatch):
    large, seq2seq = directory(DECODERS[0]), directory(SEQ2SEQ[0])
    overflows = directory("gemma2")

    def types(place, **options):
        seen = []

        def opened(*args, dtype, **rest):
            seen.append(dtype)
            raise InterruptedError  # no GPU here to go on with

        monkeypatch.setattr("frtune.inference.load_saved", opened)
        with pytest.raises(InterruptedError):
            load(place, **options)
        return seen[0]

    assert types(large) is None  # on a CPU
    pretend(monkeypatch, A100)
    assert types(large, device="cuda") is None  # small
    monkeypatch.setattr("frtune.inference_precision.LARGE", 1000)
    assert types(large, device="cuda") == torch.bfloat16
    assert types(large, device="cuda", bf16=False) is None
    assert types(large, device="cuda", dtype="fp32") == torch.float32
    assert types(large, device="cpu") is None
    assert types(seq2seq, device="cuda") is None
    monkeypatch.setattr("frtune.environment.hardware.gpu_memory", lambda *_: 10**5)
    assert types(seq2seq, device="cuda") == torch.bfloat16  # does not fit in fp32
    pretend(monkeypatch, T4)
    assert types(large, device="cuda") == torch.float16
    assert types(large, device="cuda", fp16=False) is None
    assert types(overflows, device="cuda") is None  # in fp16
    with pytest.raises(InputError, match="only emulates bf16"):
        load(large, device="cuda", bf16=True)
    pretend(monkeypatch, GTX_1080)
    assert types(large, device="cuda") is None


def test_the_command_line_passes_the_type_on(directory, capsys):
    seq2seq = next(name for name in SEQ2SEQ if not FAMILIES[name].fp16)
    main(["predict", str(directory(DECODERS[0])), "--text", "Le maire.", "--dtype", "bf16"])
    assert "keyphrases" in json.loads(capsys.readouterr().out)
    for command in (["predict", "--text", "x"], ["evaluate", "--data", "sample"]):
        words = [command[0], str(directory(seq2seq)), *command[1:], "--dtype", "fp16"]
        assert main(words) == 2
        assert "overflows in fp16" in capsys.readouterr().err


@pytest.mark.parametrize("symmetric", [True, False])
def test_how_much_of_a_pair_is_read(tiny, symmetric):
    task = SentenceSimilarity(labels=["0", "1"], max_source_tokens=24, symmetric=symmetric)
    model, tokenizer = build_model(task, checkpoint=str(tiny("camembert")), proof=False)
    predictor = Predictor(task, model, tokenizer)
    rows = [{"sentence1": "un", "sentence2": "deux"},
            {"sentence1": "un", "sentence2": "deux " * 60}]  # fmt: skip
    whole = len(tokenizer("un", "deux " * 60)["input_ids"])
    assert predictor.read_tokens(rows) == [None, (24, whole)]
    assert predictor.read_tokens([]) == []


def test_keywords_of_a_long_text_are_read_in_windows(tiny):
    task = KeywordExtraction(max_source_tokens=24)
    model, tokenizer = build_model(task, checkpoint=str(tiny("camembert")), proof=False)
    predictor = Predictor(task, model, tokenizer)
    assert predictor.read_tokens([{"text": "mot " * 200}]) == [None]
