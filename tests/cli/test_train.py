"""``frtune train``, ``evaluate`` and ``predict`` as a user calls them."""

from __future__ import annotations

import json

import pytest
import yaml

from frtune.cli import main
from frtune.cli.arguments import documented
from frtune.cli.train_arguments import parse_train_arguments

LEFT = (
    "frtune_task.json",
    "metrics.json",
    "signatures.json",
    "predictions.jsonl",
    "next_steps.json",
    "README.md",
    "report.html",
    "trainer_state.json",
    "config.yaml",
    "tokenizer.json",
)
FLAGS = ["--num-train-epochs", "1", "--max-source-tokens", "64", "--disable-tqdm", "true"]


@pytest.fixture
def articles(tmp_path, corpus):
    """A JSONL file with 24 rows; sources and keyphrases differ."""
    path = tmp_path / "articles.jsonl"
    rows = [
        {"text": f"{corpus[i % 21]} {i}", "keyphrases": corpus[i % 21].split()[:3]}
        for i in range(24)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(params=[("t5", []), ("polyglot", ["--lora"])], ids=["t5", "polyglot-lora"])
def run_directory(request, tmp_path, articles):
    family, flags = request.param
    directory = tmp_path / "run"
    command = ["train", "keyphrases", "--data", str(articles), "--checkpoint", "tiny"]
    assert main([*command, "--family", family, "--output-dir", str(directory), *FLAGS, *flags]) == 0
    return directory


def test_a_run_leaves_a_directory_that_evaluate_and_predict_open(run_directory, articles, capsys):
    files = {path.name for path in run_directory.iterdir()}
    assert set(LEFT) <= files
    assert not [name for name in files if name.endswith((".bin", ".pt")) or name.startswith(".")]
    metrics = json.loads((run_directory / "metrics.json").read_text())
    assert all(isinstance(value, float) for value in metrics.values())
    assert {"eval_loss", "test_loss", "test_f1_at_10", "test_baseline_tfidf_f1_at_10"} <= {*metrics}
    lines = (run_directory / "predictions.jsonl").read_text("utf-8").splitlines()
    assert {"input", "reference", "prediction"} <= {*json.loads(lines[0])}

    capsys.readouterr()
    assert main(["predict", str(run_directory), "--text", "L'été arrive à Lille."]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "L'été arrive à Lille." and isinstance(answer["keyphrases"], list)
    assert main(["evaluate", str(run_directory), "--data", str(articles)]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = run_directory / "evaluation" / "articles" / "metrics.json"
    assert printed == json.loads(written.read_text())


def test_evaluate_on_the_test_rows_gives_the_scores_of_the_run(tmp_path, articles, capsys):
    rows = articles.read_text("utf-8").splitlines(keepends=True)
    folder = tmp_path / "split"
    folder.mkdir()
    for name, part in (("train", rows[:16]), ("validation", rows[16:20]), ("test", rows[20:])):
        (folder / f"{name}.jsonl").write_text("".join(part), "utf-8")
    directory = tmp_path / "run"
    command = [
        "train",
        "keyphrases",
        "--data",
        str(folder),
        "--checkpoint",
        "tiny",
        "--bf16",
        "false",
    ]
    assert main([*command, "--output-dir", str(directory), *FLAGS]) == 0
    metrics = json.loads((directory / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(directory), "--data", str(folder)]) == 0
    printed = json.loads(capsys.readouterr().out)
    shared = {name for name in printed if name in metrics}
    assert len(shared) > 40
    assert {n: printed[n] for n in shared} == pytest.approx(
        {n: metrics[n] for n in shared}, abs=0.05
    )


def test_predict_reads_a_file_and_writes_one_line_a_row(run_directory, tmp_path):
    (tmp_path / "texts.txt").write_text("Le budget.\n도서관을 열었다.\n", "utf-8")
    output = tmp_path / "answers.jsonl"
    command = ["predict", str(run_directory), "--file", str(tmp_path / "texts.txt")]
    assert main([*command, "--output", str(output)]) == 0
    answers = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [answer["text"] for answer in answers] == ["Le budget.", "도서관을 열었다."]
    assert main([*command, "--output", str(output)]) == 2, "an existing file is not overwritten"


def test_resume_goes_on_where_the_run_stopped(tmp_path, articles, capsys):
    command = ["train", "keyphrases", "--data", str(articles), "--checkpoint", "tiny", *FLAGS]
    command += ["--output-dir", str(tmp_path / "run"), "--early-stopping-patience", "0"]
    assert main(command) == 0
    assert main(command) == 2
    assert "holds another run" in capsys.readouterr().err
    assert main([*command, "--num-train-epochs", "2", "--resume"]) == 0
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    steps = [entry["step"] for entry in state["log_history"] if "eval_loss" in entry]
    assert steps[0] < steps[1] and state["epoch"] == 2


def test_the_saved_config_repeats_the_run(tmp_path, articles):
    first = ["train", "keyphrases", "--data", str(articles), "--checkpoint", "tiny", *FLAGS]
    assert main([*first, "--output-dir", str(tmp_path / "a"), "--learning-rate", "1e-3"]) == 0
    config = tmp_path / "a" / "config.yaml"
    _, settings, args = parse_train_arguments(
        "keyphrases", ["--config", str(config), "--output-dir", "b"]
    )
    assert (settings.data, args.learning_rate, args.output_dir) == (str(articles), 1e-3, "b")
    assert main(["train", "keyphrases", "--config", str(config), "--output-dir",
                 str(tmp_path / "b")]) == 0  # fmt: skip
    assert (tmp_path / "a/metrics.json").read_text() != ""
    a, b = (json.loads((tmp_path / d / "metrics.json").read_text()) for d in "ab")
    assert b["eval_loss"] == pytest.approx(a["eval_loss"], rel=1e-6)


def test_a_flag_beats_the_file_and_the_file_beats_the_default(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"learning-rate": 2e-4, "k": 5, "num_train_epochs": 7}))
    task, _, args = parse_train_arguments(
        "keyphrases", ["--config", str(config), "--num-train-epochs", "9"]
    )
    assert (task.k, args.learning_rate, args.num_train_epochs) == (5, 2e-4, 9)
    assert parse_train_arguments("keyphrases", [])[0].k == 10


def test_every_option_of_ours_is_documented():
    from dataclasses import fields

    from frtune import KeyphraseGeneration
    from frtune.run.settings import RunSettings

    for cls in (KeyphraseGeneration, RunSettings):
        assert {item.name for item in fields(cls)} == documented(cls).keys()


ROWS = 12
BAD_FILES = {
    "missing-column": (['{"texte": "a", "keyphrases": ["a"]}'] * ROWS, "it has texte, keyphrases"),
    "empty": ([], "is empty"),
    "no-keyphrases": (['{"text": "a", "keyphrases": []}'] * ROWS, "row 1: column keyphrases holds"),
    "blank": (['{"text": " ", "keyphrases": ["a"]}'] * ROWS, "blank in all"),
    "separator": (['{"text": "a", "keyphrases": "a, b"}'] * ROWS, "the separator '; ' is in none"),
    "broken": (['{"text": "a", "keyphrases": ["a"]}'] * 2 + ['{"text": '], "line 3"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_data_is_one_line_and_leaves_nothing(name, tmp_path, capsys):
    lines, message = BAD_FILES[name]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    check_refused(["--data", str(path), "--checkpoint", "tiny"], message, tmp_path, capsys)


def test_wrong_encoding_is_one_line_with_the_way_out(tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_bytes("text,keyphrases\nL'été,soleil\n".encode("cp1252"))
    flags = ["--data", str(path), "--checkpoint", "tiny"]
    check_refused(flags, "line 2, byte 3: 0xE9 is not UTF-8", tmp_path, capsys)


BAD_FLAGS = {
    "no checkpoint": (["--checkpoint", "./nowhere"], "no such directory"),
    "wrong kind": (["--checkpoint", "tiny", "--family", "bert"], "not for bert"),
    "unknown family": (["--checkpoint", "tiny", "--family", "polygot"], "Did you mean polyglot?"),
    "unknown flag": (["--learnin-rate", "1"], "Did you mean --learning-rate?"),
    "not a number": (["--learning-rate", "x"], "invalid float value: 'x'"),
    "int8 and nf4": (["--lora", "--int8", "--nf4"], "one of the two"),
    "int8 without lora": (["--checkpoint", "tiny", "--int8"], "with LoRA only"),
    "fp16 for T5": (["--checkpoint", "tiny", "--fp16"], "Pass --bf16"),
    "unknown metric": (["--checkpoint", "tiny", "--metric-for-best-model", "rougel"], "rougeL?"),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flags_are_one_line_and_leave_nothing(name, articles, tmp_path, capsys):
    flags, message = BAD_FLAGS[name]
    check_refused(["--data", str(articles), *flags], message, tmp_path, capsys)


def test_a_bad_budget_is_refused_before_rows_are_read(tmp_path, capsys):
    flags = ["--data", str(tmp_path / "nowhere"), "--max-tokens-per-batch", "0"]
    check_refused(flags, "max_tokens_per_batch=0: at least 1", tmp_path, capsys)


def test_an_unknown_yaml_key_names_the_nearest(articles, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("learning_rat: 1\n")
    flags = ["--data", str(articles), "--config", str(tmp_path / "c.yaml")]
    check_refused(flags, "Did you mean learning_rate?", tmp_path, capsys)


def test_a_directory_with_other_files_is_refused_and_kept(articles, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    command = ["train", "keyphrases", "--data", str(articles), "--checkpoint", "tiny"]
    for flags in ([], ["--resume"]):
        assert main([*command, "--output-dir", str(tmp_path / "run"), *flags]) == 2
        assert "thesis.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["trian"], "Did you mean train?"),
        (["train", "keyphrase"], "invalid choice"),
        (["train"], "TASK"),
        (["evaluate", "nowhere", "--data", "sample"], "no such directory"),
        (["predict", "nowhere"], "--text or --file"),
        (["predict", ".", "--text", "a"], "holds no frtune_task.json"),
    ],
)
def test_bad_calls_are_one_line(argv, message, capsys):
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def check_refused(flags, message, tmp_path, capsys):
    """The run ends with code 2 and a last line that holds ``message``, and leaves no directory."""
    command = ["train", "keyphrases", "--output-dir", str(tmp_path / "run"), *flags]
    assert main(command) == 2
    last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
    assert last.startswith("frtune: ") and message in last
    assert not (tmp_path / "run").exists()


HEADLINES = {
    "classification": ["accuracy", "f1_macro"],
    "similarity": ["accuracy", "roc_auc"],
    "keywords": ["keyword_f1", "token_accuracy"],
}


@pytest.mark.parametrize("task", HEADLINES)
def test_encoder_tasks_train_evaluate_and_predict(task, tmp_path, capsys):
    directory = str(tmp_path / "run")
    command = ["train", task, "--output-dir", directory, "--num-train-epochs", "1"]
    assert main([*command, "--max-train-rows", "120", "--disable-tqdm", "true"]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert any(name.startswith("test_baseline_") for name in metrics)
    assert {f"test_{name}_{end}" for name in HEADLINES[task] for end in ("low", "high")} <= {
        *metrics
    }
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert page.count("<img") >= 3 and "Worst rows" in page and "http" not in page
    capsys.readouterr()
    # only one split: there are no training rows for baselines that learn
    assert main(["evaluate", directory, "--data", "sample", "--max-rows", "8"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert all(0 <= printed[f"test_{name}"] <= 1 for name in HEADLINES[task])
    if task != "similarity":  # which takes two sentences
        assert main(["predict", directory, "--text", "Facture du 12/03, 45,90 EUR"]) == 0
        assert json.loads(capsys.readouterr().out)["text"].startswith("Facture")
