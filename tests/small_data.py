"""Small data of each task, and a watch on what is read of it."""

from __future__ import annotations

import csv
import json

from datasets import Dataset

SEVERAL = "several labels"  # a row, of classification
FAMILY = {
    "classification": "bert",
    SEVERAL: "bert",
    "similarity": "bert",
    "keywords": "bert",
    "keyphrases": "t5",
}


def rows_of(task, count=24):
    """Rows of a task; no two have nearly the same text."""
    words = ["budget", "forest", "library", "river", "hospital", "school"]
    found = []
    for i in range(count):
        word, other = words[i % 6], words[(i + 1 + i // 6) % 6]
        text = f"{other} {i * 7919} and the {word} of year {i * 104729}, said {i * 31}"
        found.append(
            {
                "classification": {
                    "id": f"{i:03}",
                    "text": text,
                    "label": "odd" if i % 2 else "even",
                },
                SEVERAL: {"text": text, "label": [word, other] if i % 3 else []},
                "similarity": {"sentence1": text, "sentence2": f"{i * 613} {word}", "score": i % 6},
                "keywords": {"text": text, "keywords": f"{word}; {other}"},
                "keyphrases": {"text": text, "keyphrases": [word, other]},
            }[task]
        )
    return found


def write(path, rows):
    if path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def flags_of(task, data, checkpoint):
    flags = ["--data", str(data), "--checkpoint", str(checkpoint), "--num-train-epochs", "1"]
    flags += ["--disable-tqdm", "true", "--no-proof", "--max-source-tokens", "64"]
    flags += ["--multi-label"] if task == SEVERAL else []
    flags += ["--head", "regression", "--label-column", "score"] if task == "similarity" else []
    return [*flags, *(["--max-target-tokens", "8"] if task == "keyphrases" else [])]


TRAP = "TRAP"  # stands in the test rows alone


def watch_trap(patch):
    """A list that gets, for each look at a data set from now on, whether the trap was in it."""
    seen, select = [], Dataset.__getitem__

    def watched(self, key):
        values = select(self, key)
        seen.append(TRAP in str(values))
        return values

    patch.setattr(Dataset, "__getitem__", watched)
    return seen


def write_trapped(folder, rows):
    """A folder whose test rows have labels that no row may have; the last lacks its text."""
    folder.mkdir()
    write(folder / "train.csv", rows)
    trap = [{**row, "label": TRAP, "id": ""} for row in rows] + [{**rows[0], "text": ""}]
    write(folder / "test.csv", trap)
    return folder
