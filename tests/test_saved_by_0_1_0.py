"""What frtune 0.1.0 left on the disk is opened, gone on with and made again as 0.1.0 did it.

``fixtures/v0_1_0/README.md`` says what is there. The functions that measure are those by which
``make_fixtures.py`` wrote the expected values.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import transformers
import yaml
from packaging.version import Version

import frtune
import frtune.cli

SAVED = Path(__file__).parent / "fixtures" / "v0_1_0"
MODELS = sorted(path.parent.name for path in SAVED.glob("models/*/answers.json"))
SAMPLES = ("classification", "similarity", "keywords", "keyphrases")


def rating_parts() -> tuple[Any, Any, Any]:
    """``make_study``, ``RatingStore`` and ``RatingSession``, which have no public names."""
    from frtune.rating.session import RatingSession
    from frtune.rating.sources import make_study
    from frtune.rating.store import RatingStore

    return make_study, RatingStore, RatingSession


def stored(name: str) -> Any:
    return json.loads((SAVED / name).read_text("utf-8"))


# --- answers -----------------------------------------------------------------------------------


def answers(directory: Path, texts: list[Any]) -> list[dict[str, Any]]:
    return frtune.load(directory, bf16=False, device="cpu").predict(texts)


def assert_alike(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    """Equal, but for numbers with a fraction, which may be ``tolerance`` apart."""
    if isinstance(expected, float) and isinstance(found, int | float):
        assert math.isclose(found, expected, rel_tol=0, abs_tol=tolerance), (found, expected)
    elif isinstance(expected, dict) and isinstance(found, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_alike(found[key], expected[key], tolerance)
    elif isinstance(expected, list) and isinstance(found, list):
        assert len(found) == len(expected)
        for each, other in zip(found, expected, strict=True):
            assert_alike(each, other, tolerance)
    else:
        assert found == expected


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_as_it_did(tmp_path, name):
    directory = shutil.copytree(SAVED / "models" / name, tmp_path / "elsewhere")
    expected = stored(f"models/{name}/answers.json")
    assert_alike(answers(directory, expected["texts"]), expected["answers"])


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("_int8")])
def test_the_configuration_of_a_run_is_accepted_as_it_is(tmp_path, name):
    config = SAVED / "models" / name / "config.yaml"
    flags = ["--config", str(config), "--output-dir", str(tmp_path / "again")]
    task, settings, args, *_ = frtune.parse_train_arguments(name.split("_")[0], flags)
    written = yaml.safe_load(config.read_text("utf-8"))
    for key in ("max_source_tokens", "data", "lora", "learning_rate", "train_sampling_strategy"):
        owner = next(each for each in (task, settings, args) if hasattr(each, key))
        assert getattr(owner, key) == written[key], key


def test_every_kind_of_directory_is_there():
    assert MODELS == [
        "classification", "classification_int8", "keyphrases", "keyphrases_decoder",
        "keyphrases_lora", "keywords", "similarity",
    ]  # fmt: skip


def test_the_adapter_trained_rows_of_new_tokens():
    from safetensors import safe_open

    path = SAVED / "models" / "keyphrases_lora" / "adapter_model.safetensors"
    with safe_open(path, "pt") as file:
        names = list(file.keys())
    assert any("lora_A" in name for name in names)
    assert any("trainable_tokens" in name for name in names)


# --- splits and the order of rows --------------------------------------------------------------


def hash_of(rows: Any) -> str:
    content = json.dumps(list(rows), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def split_hashes(source: str, **options: Any) -> dict[str, Any]:
    """How many rows each split has, and their hash."""
    splits, _ = frtune.load_splits(source, **options)
    return {name: {"rows": len(rows), "sha256": hash_of(rows)} for name, rows in splits.items()}


LIMITS = {"max_train_rows": 20, "max_eval_rows": 4, "max_test_rows": 3}
CUTS: dict[str, dict[str, Any]] = {
    "cut": {},
    "cut, limited": LIMITS,
    "cut, seed 7": {"seed": 7},
    "cut, stratified": {"stratify_by": "label"},
    "cut, stratified, limited": {"stratify_by": "label", **LIMITS},
}


@pytest.mark.parametrize("task", SAMPLES)
def test_the_sample_is_split_as_it_was(task):
    assert split_hashes("sample", task_name=task) == stored("hashes.json")["splits"][task]


@pytest.mark.parametrize("cut", CUTS)
def test_missing_splits_are_cut_as_they_were(cut):
    found = split_hashes(str(SAVED / "rows.csv"), task_name="classification", **CUTS[cut])
    assert found == stored("hashes.json")["splits"][cut]


# 0.1.0 trained by length where nothing else was said
BY_LENGTH = ["--train-sampling-strategy", "group_by_length"]
ORDERS = {"by length": "group_by_length", "random": "random"}


def row_order(order: str, output_dir: Path) -> list[list[int]]:
    """The rows of each training batch of two epochs, in the order in which they are trained on."""
    splits, _ = frtune.load_splits("sample", task_name="classification", max_train_rows=40)
    task = frtune.SequenceClassification().fit(splits)
    model, tokenizer = frtune.build_model(
        task, checkpoint=SAVED / "models" / "classification" / "tiny"
    )
    args = frtune.training_arguments(
        task, str(output_dir), tiny=True, num_train_epochs=2, per_device_train_batch_size=8,
        eval_strategy="no", save_strategy="no", load_best_model_at_end=False, report_to=[],
        use_cpu=True, disable_tqdm=True, train_sampling_strategy=ORDERS[order],
    )  # fmt: skip
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=splits["train"], eval_dataset=splits["validation"],
        cut_steps=False,
    )  # fmt: skip
    batches: list[list[int]] = []
    step = trainer.training_step

    def noted(model, inputs, *rest, **more):
        batches.append(inputs["row"].tolist())
        return step(model, inputs, *rest, **more)

    trainer.training_step = noted
    trainer.train()
    return batches


@pytest.mark.parametrize("order", ORDERS)
def test_rows_are_trained_on_in_the_same_order(tmp_path, order):
    assert row_order(order, tmp_path / "run") == stored("hashes.json")["row_orders"][order]


# --- final weights -----------------------------------------------------------------------------

# Adam's epsilon is large, so that the rounding of a processor does not decide a step
SHORT = [
    "--data", "sample", "--max-train-rows", "32", "--max-eval-rows", "4", "--max-test-rows", "4",
    "--max-steps", "6", "--learning-rate", "5e-3", "--adam-epsilon", "1e-4",
    "--per-device-train-batch-size", "8", "--gradient-accumulation-steps", "1",
    "--logging-steps", "1", "--bf16", "false", "--use-cpu", "true", "--report-to", "none",
    "--disable-tqdm", "true", "--seed", "3", *BY_LENGTH,
]  # fmt: skip
UNSAVED = [
    "--eval-strategy", "no", "--save-strategy", "no", "--load-best-model-at-end", "false",
]  # fmt: skip
SAVED_TWICE = [
    "--eval-strategy", "steps", "--eval-steps", "3", "--save-strategy", "steps", "--save-steps",
    "3",
]  # fmt: skip
# what is trained, the model whose tiny checkpoint is trained, and how
RUNS: dict[str, tuple[str, str, list[str]]] = {
    "full": ("keyphrases", "keyphrases", UNSAVED),
    "lora": ("keyphrases", "keyphrases_lora", ["--lora", "--lora-dropout", "0", *UNSAVED]),
    "mixup": ("classification", "classification", ["--mixup", *UNSAVED]),
    "packed": ("keyphrases", "keyphrases_lora", ["--packing", *UNSAVED]),
}


def run(task: str, checkpoint: str, output_dir: str | Path, options: list[str]) -> None:
    places = ["--checkpoint", checkpoint, "--output-dir", str(output_dir)]
    found = frtune.cli.main(["train", task, *places, *SHORT, *options])
    assert found == 0


def processor() -> dict[str, Any]:
    """What the last bits of a weight depend on."""
    import torch

    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else "unknown",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def weights(directory: Path) -> dict[str, Any]:
    """A hash of all weights of a directory, and of each some numbers to compare with tolerance."""
    from safetensors.torch import load_file

    file = directory / "adapter_model.safetensors"
    tensors = load_file(file if file.is_file() else directory / "model.safetensors")
    digest, numbers = hashlib.sha256(), {}
    for name, tensor in sorted(tensors.items()):
        assert str(tensor.dtype) == "torch.float32"
        digest.update(f"{name} {list(tensor.shape)} ".encode() + tensor.numpy().tobytes())
        values = tensor.double().flatten()
        numbers[name] = {
            "shape": list(tensor.shape),
            "sum": float(f"{values.sum().item():.7g}"),
            "norm": float(f"{values.norm().item():.7g}"),
            "first": [float(f"{value:.7g}") for value in values[:8].tolist()],
        }
    return {"processor": processor(), "sha256": digest.hexdigest(), "tensors": numbers}


def assert_same_weights(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal to the bit on the same kind of processor, close on another."""
    if found["processor"] == expected["processor"]:
        assert found["sha256"] == expected["sha256"]
    assert list(found["tensors"]) == list(expected["tensors"])
    for name, numbers in expected["tensors"].items():
        other = found["tensors"][name]
        assert other["shape"] == numbers["shape"], name
        # the errors of the values add up in their sum as in a random walk
        spread = math.sqrt(math.prod(numbers["shape"]))
        for key, scale in (("first", 1), ("norm", 1), ("sum", spread)):
            assert other[key] == pytest.approx(numbers[key], rel=1e-3, abs=1e-4 * scale), (
                name,
                key,
            )


# an older Transformers computes other numbers, and cannot open what a newer one pickled
of_its_transformers = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.23"), reason="saved with Transformers 5.23"
)


@of_its_transformers
@pytest.mark.parametrize("name", RUNS)
def test_a_seeded_run_ends_with_the_same_weights(tmp_path, name):
    task, model, options = RUNS[name]
    run(task, str(SAVED / "models" / model / "tiny"), tmp_path / "run", options)
    assert_same_weights(weights(tmp_path / "run"), stored("hashes.json")["weights"][name])


@of_its_transformers
def test_a_run_is_resumed_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED / "resume", "resume")
    shutil.copytree(SAVED / "models" / "similarity" / "tiny", "models/similarity/tiny")
    optimizer = Path("resume/checkpoint-3/optimizer.pt")
    before = optimizer.stat().st_mtime_ns
    assert not Path("resume/model.safetensors").exists()
    command = ["train", "similarity", "--config", "resume/config.yaml", "--resume"]
    assert frtune.cli.main(command) == 0
    # a run from the start would end with the same weights, and save this checkpoint again
    assert optimizer.stat().st_mtime_ns == before
    manifest = json.loads(Path("resume/manifest.json").read_text("utf-8"))
    assert manifest["resumed_from"] == "checkpoint-3"
    state = json.loads(Path("resume/trainer_state.json").read_text("utf-8"))
    assert state["global_step"] == 6
    assert_same_weights(weights(Path("resume")), stored("hashes.json")["weights"]["resumed"])


# --- a journal of labels -----------------------------------------------------------------------

TEXTS = (
    "Le conseil municipal a voté le budget de la cantine scolaire.",
    "Une thèse étudie l'apprentissage des langues étrangères.",
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "The mayor opened a library near the theatre.",
    "Les chercheurs ont mesuré la qualité de l'eau du fleuve.",
    "Researchers planted oaks in the burnt forest.",
)


class Endpoint(ThreadingHTTPServer):
    """Answers on loopback with the first two long words of the text, and notes who asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), EndpointHandler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class EndpointHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked["messages"][0]["content"]
        text = next(text for text in TEXTS if text in prompt)
        self.server.asked.append(text)
        words = [word.strip(".,'") for word in text.split() if len(word) > 4]
        choice = {
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "; ".join(words[:2])},
        }  # fmt: skip
        usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 5}
        usage["total_tokens"] = sum(usage.values())
        data = json.dumps(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
             "choices": [choice], "usage": usage}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def labelled(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Label ``folder/texts.jsonl``: what was asked about, and the report but for most settings."""
    endpoint = Endpoint()
    try:
        report = frtune.label(
            folder / "texts.jsonl",
            folder / "labels.jsonl",
            job=frtune.LabelJob(),
            endpoint=frtune.Endpoint(
                f"http://127.0.0.1:{endpoint.server_port}/v1", "m", concurrency=1
            ),
            budget=frtune.Budget(price_input=0.5, price_output=2.0),
        )
    finally:
        endpoint.shutdown()
        endpoint.server_close()
    report["settings"] = {"prompt": report["settings"]["prompt"]}
    return endpoint.asked, json.loads(json.dumps(report))


def test_labelling_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("texts.jsonl", "labels.answers.jsonl"):
        shutil.copy(SAVED / "labels" / name, tmp_path / name)
    before = (tmp_path / "labels.answers.jsonl").read_bytes()
    whole = before[: before.rindex(b"\n") + 1]
    assert len(whole) < len(before)  # the last line is torn
    asked, report = labelled(tmp_path)
    assert asked == list(TEXTS[3:])
    assert report == stored("labels/expected_report.json")
    expected = (SAVED / "labels" / "expected.jsonl").read_bytes()
    assert (tmp_path / "labels.jsonl").read_bytes() == expected
    assert (tmp_path / "labels.answers.jsonl").read_bytes().startswith(whole)


def of_then(found, expected):
    """What a report has of the keys that it had in 0.1.0."""
    if isinstance(expected, dict):
        return {key: of_then(found[key], value) for key, value in expected.items()}
    if isinstance(expected, list) and isinstance(found, list):
        return [of_then(a, b) for a, b in zip(found, expected, strict=True)]
    return found


# --- ratings -----------------------------------------------------------------------------------


def test_the_report_of_ratings_comes_out_as_it_did(tmp_path):
    database = shutil.copy(SAVED / "ratings" / "ratings.sqlite", tmp_path)
    assert (
        frtune.cli.main(["rate", "--output", str(database), "--report", str(tmp_path / "report"),
                         "--export", str(tmp_path / "ratings.csv")]) == 0
    )  # fmt: skip
    found = json.loads((tmp_path / "report" / "ratings.json").read_text("utf-8"))
    expected = stored("ratings/expected_report.json")
    for run in expected["runs"]:  # few items have an exact test since
        run.pop("p_value", None)
    assert found["runs"][1]["p_value"] == 0.46875
    assert_alike(of_then(found, expected), expected, tolerance=1e-6)
    with (
        open(tmp_path / "ratings.csv", encoding="utf-8-sig", newline="") as file,
        open(SAVED / "ratings" / "expected.csv", encoding="utf-8-sig", newline="") as other,
    ):
        expected = list(csv.reader(other))
        assert [row[: len(expected[0])] for row in csv.reader(file)] == expected


def test_rating_goes_on_with_the_answers_kept(tmp_path, monkeypatch):
    make_study, store_class, desk_class = rating_parts()
    monkeypatch.chdir(tmp_path)
    for name in ("keyphrases", "keyphrases_decoder"):
        shutil.copytree(SAVED / "models" / name, Path("models") / name)
    database = shutil.copy(SAVED / "ratings" / "ratings.sqlite", tmp_path)
    study = make_study(["models/keyphrases", "models/keyphrases_decoder"])
    desk = desk_class(store_class.create(database, study))  # which refuses another study
    items = len(study.items)
    assert (desk.resume("Ada"), desk.resume("Bob"), desk.resume("Cem")) == (items, 2, 0)
    before = desk.sheet("Bob", 1)
    assert before.answered and before.done == 2 and list(before.grades) == [2.0, 4.0]
    desk.answer("Bob", 2, grades=[1, 5], wrong=[[], []])
    assert desk_class(store_class(database)).resume("Bob") == 3
