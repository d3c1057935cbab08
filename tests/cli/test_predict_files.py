"""``frtune predict --file``: any format, row by row, in constant memory."""

from __future__ import annotations

import csv
import json
import tracemalloc

import pytest

from frtune import KeywordExtraction, build_model
from frtune.cli import main
from frtune.cli.columns import ReadingOptions
from frtune.cli.predict import WINDOW, _windows
from frtune.tasks.config_file import save_task

TEXTS = [
    "L'opération de la cantine, dit-on, a réussi.",
    "E\u0301te\u0301 \U0001f642 : aujourd’hui l’eau est claire ; demain, non.",
    'Il a dit "non", puis "oui".',
]
FORMATS = (".csv", ".jsonl", ".txt")


def write(path, texts):
    """Write texts, beside a number, in the format of the path's extension."""
    rows = ({"id": i, "text": text} for i, text in enumerate(texts))
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, ["id", "text"], delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
        elif path.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            file.writelines(f"{text}\n" for text in texts)
    return path


@pytest.fixture(scope="module")
def directory(tiny, tmp_path_factory):
    """A keyword model that has learnt nothing: it marks much."""
    directory = tmp_path_factory.mktemp("model")
    task = KeywordExtraction()
    model, tokenizer = build_model(task, checkpoint=str(tiny("camembert")))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    save_task(task, directory)
    return directory


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_answered_row_by_row_as_its_texts_are(
    directory, suffix, tmp_path, capsys, monkeypatch
):
    # in bf16 the rows of a batch round each other's scores
    monkeypatch.setattr("frtune.environment.hardware.has_bf16", lambda: False)

    def answers(*flags):
        assert main(["predict", str(directory), *flags]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    found = answers("--file", str(write(tmp_path / f"texts{suffix}", TEXTS)))
    assert [answer["text"] for answer in found] == TEXTS
    alone = [answers("--text", text)[0] for text in TEXTS]
    for one, other in zip(found, alone, strict=True):
        for keyword, same in zip(one["keywords"], other["keywords"], strict=True):
            assert one["text"][keyword["start"] : keyword["end"]] == keyword["text"]
            assert keyword == {**same, "score": pytest.approx(same["score"], abs=1e-5)}


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_file(suffix, tmp_path):
    def peak(rows):
        path = write(tmp_path / f"{rows}{suffix}", (f"L'eau du puits {i}." for i in range(rows)))
        tracemalloc.start()
        windows = _windows(str(path), KeywordExtraction(), ReadingOptions())
        sizes = [len(window) for window in windows]
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(sizes) == rows and max(sizes) <= WINDOW
        return found

    peak(10)  # what is imported at first use stays
    assert peak(15 * WINDOW) < 2 * peak(2 * WINDOW)
