"""A task that frtune does not have goes through all that frtune does, answers of its own shape."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import frtune
from fifth_task import Stars
from frtune import InputError
from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.demo.app import DemoSession, build_page
from frtune.demo.files import answer_file
from frtune.demo.models import open_models
from frtune.demo.translations import WORDS
from frtune.demo.uploads import uploaded_rows
from frtune.models.lineage import lineage
from frtune.preflight.run import preflight
from frtune.review.review import review
from frtune.review.session import ReviewSession
from frtune.tasks.base import Task
from frtune.tasks.config_file import import_program, load_task, save_task, task_names
from frtune.web.translations import PageLanguage

ANSWER = {"text", "rating", "raw"}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory, corpus):
    path = tmp_path_factory.mktemp("reviews") / "reviews.jsonl"
    rows = [
        {"text": f"{corpus[i % 20]} {i}", "rating": {"stars": 1 + i % 5, "of": 5}}
        for i in range(40)
    ]
    rows += [{"text": " ", "rating": {"stars": 3, "of": 5}}, {"text": "fine", "rating": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def prepared(reviews, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared") / "out"
    audit = frtune.prepare(reviews, output, Stars())
    assert audit["rows"] == {"read": 42, "kept": 40, "rejected": 2, "adds_up": True}
    assert audit["rejected"] == {"unusable_text": 1, "unusable_rating": 1}
    row = json.loads((output / "train.jsonl").read_text("utf-8").splitlines()[0])
    assert row.keys() == {"text", "rating"} and row["rating"]["of"] == 5
    return output


@pytest.fixture(scope="module")
def flags(prepared, tiny):
    return [
        "--data", str(prepared), "--checkpoint", str(tiny("bert")), "--num-train-epochs", "2",
        "--max-source-tokens", "32", "--disable-tqdm", "true",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(flags, tmp_path_factory):
    """What ``frtune train stars`` leaves."""
    directory = tmp_path_factory.mktemp("stars") / "run"
    assert main(["train", "stars", *flags, "--output-dir", str(directory)]) == 0
    return directory


def test_a_run_leaves_scores_answers_a_card_and_a_page(trained):
    metrics = json.loads((trained / "metrics.json").read_text("utf-8"))
    assert metrics["test_mean_error_low"] <= metrics["test_mean_error"]
    assert metrics["test_mean_error"] <= metrics["test_mean_error_high"]
    lines = (trained / "predictions.jsonl").read_text("utf-8").splitlines()
    line = json.loads(lines[0])
    assert line.keys() == {"input", "reference", "prediction", "raw"}
    assert line["prediction"].keys() == line["reference"].keys() == {"stars", "of"}
    page = (trained / "report.html").read_text("utf-8")
    for part in ("stars: run", "Worst rows", "By right answers", "&#34;of&#34;: 5", "mean_error"):
        assert part in page, part
    assert "| this model |" in (trained / "README.md").read_text("utf-8")
    assert lineage(trained) == ["bert", "stars"]


def test_every_stage_of_a_preflight_passes(flags, tmp_path):
    asked = parse_train_arguments("stars", [*flags, "--output-dir", str(tmp_path / "never")])
    stages = preflight(*asked)
    assert {stage.status for stage in stages} <= {"ok", "warning"}
    assert [stage.name for stage in stages][-2:] == ["report", "predict"]


def test_its_labels_are_reviewed_and_corrected(flags, tmp_path):
    def make(output_dir):
        return parse_train_arguments("stars", [*flags, "--output-dir", output_dir])

    found = review(make, tmp_path / "out", folds=2)
    assert found.doubted and found.rows[0].why.startswith('the models say {"stars": ')
    session = ReviewSession(found)
    session.decide(0, "change", '{"stars": 2, "of": 5}')
    place, changed, _ = session.save()
    number = found.rows[0].number - 1
    lines = (place / f"{found.rows[0].split}.jsonl").read_text("utf-8").splitlines()
    assert changed == 1 and json.loads(lines[number])["rating"] == {"stars": 2, "of": 5}


@pytest.mark.usefixtures("warm_processes")
def test_the_directory_is_evaluated_compared_and_quantised(trained, prepared, tmp_path):
    small = tmp_path / "small"
    record = frtune.quantize(trained, small)
    assert record["reload_difference"] is not None, "a fresh process knows the task"
    rows = prepared / "test.jsonl"
    scores = [frtune.evaluate(place, rows) for place in (trained, small)]
    found = frtune.compare(
        [trained, small], rows, output_dir=tmp_path / "out", batch_sizes=(1,), samples=50
    )
    assert (found.task, found.f1_name, found.accuracy_name) == ("stars", "mean_error", None)
    assert [model["f1"] for model in found.models] == [s["test_mean_error"] for s in scores]
    said = [json.dumps([row["rating"] for row in frtune.load(place).predict(texts(rows))])
            for place in (trained, small)]  # fmt: skip
    assert (found.models[1]["agreement"] == 1) == (said[0] == said[1])
    assert all(model["f1_low"] <= model["f1"] <= model["f1_high"] for model in found.models)
    assert "mean_error (95 %)" in (tmp_path / "out" / "comparison.md").read_text("utf-8")


def texts(path):
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def test_the_page_of_the_demo_answers_a_text_and_a_file(trained, tmp_path):
    models = open_models([trained])
    language = PageLanguage(WORDS, "en")
    assert build_page(models, language) is not None
    (name, model), session = next(iter(models.items())), DemoSession(models, language)
    assert model.examples, "those that it was tested on"
    assert session.predict(name, "A fine film.").keys() == ANSWER
    html = session.html(name, ("A fine film.", "", ""), None)
    assert "<p>rating: <b>{&quot;stars&quot;: " in html and "<p>raw: <b>" in html
    asked = tmp_path / "asked.csv"
    asked.write_text("text\nA fine film.\n \n", "utf-8")
    steps = list(
        answer_file([model], uploaded_rows(asked, "asked.csv"), "asked.csv", tmp_path / "o.csv")
    )
    assert steps[-1] == (2, 1, 0)
    written = (tmp_path / "o.csv").read_text("utf-8-sig").splitlines()
    assert written[0] == "text,predicted_stars" and written[2] == " ,"


def test_without_predictions_and_sample_a_page_has_no_examples(trained, tmp_path):
    place = tmp_path / "bare"
    place.mkdir()
    for file in trained.iterdir():
        if file.is_file() and file.name != "predictions.jsonl":
            (place / file.name).symlink_to(file)
    assert next(iter(open_models([place]).values())).examples == []


def test_a_task_without_a_sample_says_so(tiny, tmp_path, capsys):
    out = ["--output-dir", str(tmp_path / "x"), "--checkpoint", str(tiny("bert"))]
    assert main(["train", "stars", "--data", "sample", *out]) == 2
    assert "there is no sample for stars" in capsys.readouterr().err


@pytest.mark.usefixtures("warm_processes")
def test_a_process_that_has_not_imported_the_task_is_told_to(tmp_path):
    save_task(Stars(), tmp_path)
    assert load_task(tmp_path) == Stars() and "stars" in task_names()
    program = f"import frtune; frtune.load({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert "task=stars: not known here" in last and "import the module" in last


def test_a_name_is_given_once_and_a_class_of_a_script_is_refused_elsewhere():
    with pytest.raises(InputError, match=r"is the name of fifth_task\.Stars"):
        type("Other", (Task,), {"name": "stars"})
    here = type("Here", (Stars,), {"__module__": "__main__"})
    with pytest.raises(InputError, match="Move it to a module"):
        import_program(here())
