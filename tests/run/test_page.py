"""The page of a run: complete, alone, escaped, and never the reason that a run fails."""

from __future__ import annotations

import json
import logging
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from datasets import Dataset, DatasetDict
from transformers import TrainingArguments

from frtune import (
    KeyphraseGeneration,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
)
from frtune.run import page
from frtune.run.settings import RunSettings
from frtune.training.encoding import encode_dataset

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LABELS = ["loyer", "<b>poste</b>"]
HISTORY = [
    {"step": 1, "epoch": 0.5, "loss": 2.0, "learning_rate": 1e-3},
    {"step": 2, "epoch": 1.0, "eval_loss": 1.5, "eval_accuracy": 0.5},
    {"step": 4, "epoch": 2.0, "eval_loss": 1.2, "eval_accuracy": 0.7},
]
SCORES = {"accuracy": 0.5, "f1_macro": 0.4, "f1_weighted": 0.4, "mcc": 0.1}


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """What ``write_page`` is given after a small classification run, with hostile texts."""
    directory = tmp_path_factory.mktemp("page")
    rows = Dataset.from_dict({
        "text": [f"{EVIL} loyer {i}" if i % 2 else f"timbres {i} " * 40 for i in range(8)],
        "label": [LABELS[i % 2] for i in range(8)],
    })  # fmt: skip
    task = SequenceClassification(labels=LABELS, max_source_tokens=24)
    _, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    encoded = encode_dataset(rows, task, tokenizer, kind="encoder")
    with (directory / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            chance = 0.9 - 0.1 * i
            scores = {LABELS[0]: chance, LABELS[1]: 1 - chance}
            line = {"input": row["text"], "reference": row["label"], "prediction": LABELS[0]}
            line |= {"score": chance, "scores": scores}
            file.write(json.dumps(line) + "\n")
    trainer = SimpleNamespace(
        task=task,
        processing_class=tokenizer,
        args=TrainingArguments(str(directory), use_cpu=True),
        state=SimpleNamespace(log_history=HISTORY, best_global_step=4),
        train_dataset=encoded,
        eval_dataset=encoded,
    )
    metrics = {
        **{f"test_{name}": value for name, value in SCORES.items()},
        **{
            f"test_{name}_{end}": value for name, value in SCORES.items() for end in ("low", "high")
        },
        **{f"test_baseline_majority_{name}": 0.45 for name in SCORES},
    }
    return {
        "directory": directory, "trainer": trainer, "encoded": encoded, "metrics": metrics,
        "settings": RunSettings(data=EVIL, checkpoint=EVIL), "notes": [EVIL],
        "splits": DatasetDict(train=rows, validation=rows, test=rows),
    }  # fmt: skip


class Reader(HTMLParser):
    """Collects tags and attributes, as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.fetched, self.events = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.events += [name] if name.startswith("on") else []
            self.fetched += [value] if name in ("src", "href") else []


def test_the_page_stands_alone_and_escapes_every_text(run):
    page.write_page(**run)
    text = (run["directory"] / "report.html").read_text("utf-8")
    seen = Reader(text)
    assert "script" not in seen.tags and not seen.events and "b" not in seen.tags
    assert text.count("&lt;script&gt;") >= 5, "of texts, data, checkpoint and notes"
    assert seen.tags.count("img") == 6, "loss, scores, learning rate, confidence (2), lengths"
    assert all(where.startswith("data:image/svg+xml;base64,") for where in seen.fetched)
    assert not re.search(r"@import|url\(|https?://", text)


def test_the_page_says_what_a_reader_must_know(run):
    page.write_page(**run)
    text = (run["directory"] / "report.html").read_text("utf-8")
    for part in (
        "f1_macro 0.400 (95 % interval 0.400 to 0.400) on 8 test rows",
        "majority, has 0.450, and is better than the model",
        "step 4 were kept, the best of 2 evaluations, and the last.",
        "8 of 8 training rows are longer than max_source_tokens=24 and were cut",
        "<h3>Worst rows</h3>", "<h3>Best rows</h3>", "true \\ predicted",
    ):  # fmt: skip
        assert part in text, part


def test_worst_and_best_rows_are_ordered_by_the_chance_of_the_truth(run):
    lines = [json.loads(line) for line in (run["directory"] / "predictions.jsonl").open()]
    _, worst, best = page.worst_and_best(run["trainer"].task, lines)
    values = [line["scores"][line["reference"]] for line in lines]
    assert [row["value"] for row in worst] == sorted(values)[:4]
    assert best[0]["value"] == max(values)
    assert not {row["row"] for row in worst} & {row["row"] for row in best}


def test_no_row_in_which_nothing_is_right_is_among_the_best():
    lines = [{"input": str(i), "reference": ["a"], "prediction": ["a"] if i == 3 else ["b"]}
             for i in range(8)]  # fmt: skip
    _, worst, best = page.worst_and_best(KeyphraseGeneration(), lines)
    assert [row["row"] for row in best] == [3] and len(worst) == 4
    pairs = [{"input": "a", "input_pair": "b", "reference": 1.0, "prediction": 1.0 + i}
             for i in range(4)]  # fmt: skip
    _, _, best = page.worst_and_best(SentenceSimilarity(head="regression"), pairs)
    assert [row["row"] for row in best] == [0, 1], "an error of 0 is the best"


def test_the_page_opens_with_what_it_means(run):
    text = page.page_html(**run)
    first = text.split("<li>")[1]
    assert "the model does worse than the best guess without a model" in first
    better = {name: 0.1 if "baseline" in name else value for name, value in run["metrics"].items()}
    text = page.page_html(**{**run, "metrics": better})
    assert "better than any guess without a model" in text.split("<li>")[1]


def test_captions_say_what_the_figures_show(run):
    text = page.page_html(**run)
    assert "The validation loss was lowest, 1.200, at step 4, the last." in text
    assert "step 4, whose weights were kept" in text and "from 0.500 to 0.700" in text
    assert "tokens of source, 95 % at most" in text
    captions = re.findall(r'alt="([^"]*)".*?\n<figcaption>(.*?)</figcaption>', text)
    assert captions and all(len(said) > len(alt) for alt, said in captions)


def test_one_row_is_counted_as_one(run, tmp_path):
    line = (run["directory"] / "predictions.jsonl").read_text("utf-8").splitlines()[0]
    (tmp_path / "predictions.jsonl").write_text(line + "\n", encoding="utf-8")
    one = {name: rows.select([0]) for name, rows in run["splits"].items()}
    text = page.page_html(**{**run, "directory": tmp_path, "splits": DatasetDict(one)})
    assert "on 1 test row." in text and "1 train row, 1 validation row, 1 test row." in text
    assert not re.search(r"\b1 (\w+ )?rows", text)


def test_without_matplotlib_there_is_a_page_that_says_so(run, monkeypatch):
    monkeypatch.setattr(page, "has_matplotlib", lambda: False)
    text = page.page_html(**run)
    assert "<img" not in text and "pip install &#39;frtune[plots]&#39;" in text.replace(
        "'", "&#39;"
    )


def test_a_failure_is_a_warning_and_no_error(run, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        page.write_page(**{**run, "directory": tmp_path})  # where no predictions are
    assert "no report.html: FileNotFoundError" in caplog.text
    assert not (tmp_path / "report.html").exists()


def test_a_run_of_many_classes_lists_the_pairs_most_confused():
    labels = [f"c{i}" for i in range(30)]
    lines = [{"prediction": "c1", "reference": label} for label in labels]
    found = page._confusion(SequenceClassification(labels=labels), lines)
    assert found["rows"] is None and (1, "c0", "c1") in found["pairs"]


def test_phrases_are_told_right_wrong_and_missed():
    line = {"input": "x", "reference": ["Budget", "cantine"], "prediction": ["budget", "maire"]}
    found = KeyphraseGeneration().described(line)
    assert [piece["kind"] for piece in found["said"]] == ["right", "wrong"]
    assert [piece["kind"] for piece in found["true"]] == ["right", "missed"]


def test_keywords_are_marked_where_they_stand():
    from frtune import KeywordExtraction

    text = "Le budget de la cantine et du maire."
    line = {
        "input": text,
        "reference": ["budget", "cantine"],
        "prediction": ["budget", "maire"],
        "spans": [
            {"text": "budget", "start": 3, "end": 9},
            {"text": "maire", "start": 30, "end": 35},
        ],
    }
    pieces = KeywordExtraction().described(line)["marked"]
    assert "".join(piece["text"] for piece in pieces) == text
    assert {p["text"]: p["kind"] for p in pieces if p["kind"] != "plain"} == {
        "budget": "right", "cantine": "missed", "maire": "wrong",
    }  # fmt: skip


@pytest.mark.browser
def test_a_browser_asks_no_one_and_runs_nothing(run):
    from chromium import visit

    page.write_page(**run)
    with visit((run["directory"] / "report.html").as_uri()) as seen:
        assert seen.page.locator("h2").count() >= 6
        drawn = "() => [...document.images].every(image => image.naturalWidth > 100)"
        assert seen.page.evaluate(drawn)
        assert not seen.dialogs and not {host for host in seen.hosts if host}


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_table_is_wider_than_its_box(run, tmp_path, width):
    from chromium import visit

    labels = [f"frais_de_deplacement_{i}" for i in range(20)]
    with (tmp_path / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for i in range(40):
            line = {"input": f"ligne {i} " * 60 + "x" * 90, "reference": labels[i % 20],
                    "prediction": labels[i % 7], "score": 0.5,
                    "scores": dict.fromkeys(labels, 0.05)}  # fmt: skip
            file.write(json.dumps(line) + "\n")
    task = SequenceClassification(labels=labels, max_source_tokens=24)
    trainer = SimpleNamespace(**{**vars(run["trainer"]), "task": task})
    page.write_page(**{**run, "directory": tmp_path, "trainer": trainer})
    settings = {"viewport": {"width": width, "height": 800}, "color_scheme": "dark"}
    with visit((tmp_path / "report.html").as_uri(), **settings) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert seen.page.locator("table").count() >= 5
        assert seen.wide() == []
