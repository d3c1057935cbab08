"""``frtune predict`` for pairs of sentences."""

from __future__ import annotations

import json

import pytest

import frtune
from frtune.cli import main


@pytest.fixture(scope="module")
def pairs_model(tiny, tmp_path_factory):
    """A model directory of similarity; its weights are random."""
    task = frtune.SentenceSimilarity(labels=["0", "1"], symmetric=True)
    model, tokenizer = frtune.build_model(task, checkpoint=tiny("bert"))
    directory = tmp_path_factory.mktemp("pairs")
    args = frtune.training_arguments(task, str(directory), eval_strategy="no", save_strategy="no",
                                     load_best_model_at_end=False, bf16=False)  # fmt: skip
    return str(frtune.save(task.trainer(model, tokenizer, args), directory / "model"))


def test_a_pair_is_answered_and_either_order_gives_the_same(pairs_model, capsys):
    answers = []
    for first, second in (("Il pleut.", "La pluie."), ("La pluie.", "Il pleut.")):
        assert main(["predict", pairs_model, "--text", first, "--text-pair", second]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert list(answers[0]) == ["text", "text_pair", "label", "similarity"]
    assert (answers[0]["text"], answers[0]["text_pair"]) == ("Il pleut.", "La pluie.")
    assert answers[0]["similarity"] == pytest.approx(answers[1]["similarity"], abs=1e-6)


def test_a_file_of_pairs_is_answered_row_by_row(pairs_model, tmp_path, capsys):
    path = tmp_path / "pairs.csv"
    path.write_bytes("id;sentence2;sentence1\n1;été;froid\n2;b;a\n".encode("utf-8-sig"))
    assert main(["predict", pairs_model, "--file", str(path)]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(a["text"], a["text_pair"]) for a in answers] == [("froid", "été"), ("a", "b")]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--text", "a"], "compares two sentences. Add --text-pair"),
        (["--text", "a", "--text-pair", " \u00ad"], "sentence2 ' \\xad' is blank. Give both"),
        (["--text", "", "--text-pair", "b"], "sentence1 '' is blank. Give both sentences"),
        (["--file", "{half}"], "half.csv, row 2: column sentence2 is blank, in 1 of 2 rows"),
        (["--file", "{half}", "--text-pair", "a"], "--text-pair: goes with --text"),
        (["--file", "{lines}"], "one text a line; this model compares two sentences"),
    ],
)
def test_half_a_pair_is_refused_in_one_line(pairs_model, tmp_path, capsys, flags, message):
    (tmp_path / "half.csv").write_text("sentence1,sentence2\na,b\nc,\n")
    (tmp_path / "lines.txt").write_text("a\n")
    places = {"half": tmp_path / "half.csv", "lines": tmp_path / "lines.txt"}
    flags = [flag.format(**places) for flag in flags]
    output = tmp_path / "answers.jsonl"
    assert main(["predict", pairs_model, *flags, "--output", str(output)]) == 2
    last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
    assert last.startswith("frtune: ") and message in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.csv", "lines.txt"]


@pytest.fixture(scope="module")
def writer(tiny, tmp_path_factory):
    """A model directory of keyphrases; its weights are random."""
    task = frtune.KeyphraseGeneration(max_source_tokens=32, max_target_tokens=8)
    model, tokenizer = frtune.build_model(task, checkpoint=tiny("t5"), proof=False)
    directory = tmp_path_factory.mktemp("writer")
    args = frtune.training_arguments(task, str(directory), eval_strategy="no", save_strategy="no",
                                     load_best_model_at_end=False, bf16=False)  # fmt: skip
    return str(frtune.save(task.trainer(model, tokenizer, args), directory / "model"))


def test_beams_and_limit_act_and_stand_in_the_signatures(writer, tmp_path, capsys):
    flags = ["--num-beams", "2", "--max-target-tokens", "5"]
    assert main(["predict", writer, "--text", "Le budget.", *flags]) == 0
    said = json.loads(capsys.readouterr().out)
    predictor = frtune.load(writer)
    chosen = {"num_beams": 2, "max_target_tokens": 5}
    assert [said] == predictor.predict(["Le budget."], **chosen)
    assert [said] == frtune.load(writer, **chosen).predict(["Le budget."])
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "Le budget.", "keyphrases": ["budget"]}\n' * 2)
    output = str(tmp_path / "scores")
    assert main(["evaluate", writer, "--data", str(rows), "--output-dir", output, *flags]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["test_mean_tokens"] == 5 and scores["test_cut_by_limit_rate"] == 1
    signatures = json.loads((tmp_path / "scores" / "signatures.json").read_text())
    assert signatures["f1_at_10"].endswith("|max_target_tokens:5|num_beams:2")


def test_settings_of_generation_are_refused_in_one_line(pairs_model, writer, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"sentence1": "a", "sentence2": "b", "label": 0}\n')
    pair = ["--text", "a", "--text-pair", "b"]
    for command, message in [
        (["predict", pairs_model, *pair, "--num-beams", "2"], "similarity writes no text"),
        (["evaluate", pairs_model, "--data", str(rows), "--num-beams", "2"], "writes no text"),
        (["predict", writer, "--text", "a", "--num-beams", "0"], "num_beams=0: at least 1"),
        (["predict", writer, "--text", "a", "--max-target-tokens", "1"], "at least 4"),
        (["predict", writer, "--text", "a", "--max-target-tokens", "99999"], "99,999 tokens"),
    ]:
        assert main(command) == 2
        last = capsys.readouterr().err.rstrip("\n").splitlines()[-1]
        assert last.startswith("frtune: ") and message in last


def test_a_text_that_is_longer_than_the_model_reads_is_said(writer, tmp_path, capsys):
    long = "Le budget de la ville. " * 20
    ((read, whole),) = frtune.load(writer).read_tokens([{"text": long}])
    assert read == 32 and whole > 100
    assert main(["predict", writer, "--text", long]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"frtune: the text is longer than max_source_tokens=32: 32 of {whole} tokens were read "
        f"({100 * 32 // whole} %)"
    )
    texts = ("Le budget.", long)
    rows, lines = tmp_path / "rows.jsonl", tmp_path / "rows.txt"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    lines.write_text("".join(f"{text}\n" for text in texts))
    for file in (rows, lines):
        assert main(["predict", writer, "--file", str(file)]) == 0
        told = capsys.readouterr().err
        assert "1 row is longer than max_source_tokens=32: only the beginning was read" in told
    assert main(["predict", writer, "--text", "Le budget."]) == 0
    assert "longer" not in capsys.readouterr().err
