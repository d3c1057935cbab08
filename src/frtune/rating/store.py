"""One SQLite file with a study and the answers of its raters, several at once."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.data.formula_cells import defused_row
from frtune.errors import InputError
from frtune.files import draft_file
from frtune.outputs import check_output_file
from frtune.rating.study import MOST_COMMENT_CHARACTERS, Item, Judgement, RatingStudy

_FORMAT = "frtune ratings 1"
_WAIT_SECONDS = 30.0  # for another rater's answer to be written
_TABLES = """
CREATE TABLE study (format TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE judgements (
    rater TEXT NOT NULL, item INTEGER NOT NULL, preferred INTEGER, at TEXT NOT NULL,
    PRIMARY KEY (rater, item)
);
CREATE TABLE ratings (
    rater TEXT NOT NULL, item INTEGER NOT NULL, run INTEGER NOT NULL, rating REAL,
    wrong TEXT NOT NULL,
    PRIMARY KEY (rater, item, run)
);
"""
# a table of its own: earlier versions open and write the file as before
_COMMENTS = """
CREATE TABLE IF NOT EXISTS comments (
    rater TEXT NOT NULL, item INTEGER NOT NULL, comment TEXT NOT NULL, PRIMARY KEY (rater, item)
);
"""


class RatingStore:
    """The file of a study; each call opens it, so that threads and processes may share it.

    It is in WAL mode, which needs a local disk.

    Args:
        path: The file; must exist. ``RatingStore.create`` makes one.

    Raises:
        InputError: If it is no file of ratings.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such file. frtune rate RUN... --data X makes one.")
        try:
            with self._open() as file:
                format_, content = file.execute("SELECT format, content FROM study").fetchone()
        except (sqlite3.DatabaseError, TypeError) as error:
            raise InputError(f"{path}: is no file of ratings ({error}). Name another.") from None
        if format_ != _FORMAT:
            raise InputError(f"{path}: is of another version ({format_}).")
        self.study = _study(json.loads(content))
        with self._open() as file:
            if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'comments'").fetchone():
                file.executescript(_COMMENTS)

    @classmethod
    def create(cls, path: str | Path, study: RatingStudy) -> RatingStore:
        """Make the file of a study, or open it if it is there already.

        Raises:
            InputError: If the file is of another study.
        """
        path = check_output_file(path, new=False)
        if not path.exists():
            with (
                draft_file(path) as draft,
                contextlib.closing(sqlite3.connect(draft)) as file,
            ):
                file.execute("PRAGMA journal_mode=WAL")
                file.executescript(_TABLES)
                content = json.dumps(_content(study), ensure_ascii=False)
                file.execute("INSERT INTO study VALUES (?, ?)", (_FORMAT, content))
                file.commit()
        store = cls(path)
        if store.study != study:
            raise InputError(
                f"{path}: holds ratings of other predictions, or with another scale, mode, "
                "question or seed. Name a new file, or pass what it was made with."
            )
        return store

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)
        with contextlib.closing(connection) as file:
            yield file

    def save(self, rater: str, item: int, judgement: Judgement) -> None:
        """Keep an answer, whole or not at all; a later one of the same rater replaces it.

        Raises:
            InputError: If it does not fit the study.
        """
        _check(self.study, item, judgement)
        rows = [
            (rater, item, run, judgement.ratings.get(run), json.dumps(judgement.wrong.get(run, ())))
            for run in range(len(self.study.runs))
        ]
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")  # takes its turn now, not in the middle
            with file:
                file.execute(
                    "INSERT OR REPLACE INTO judgements VALUES "
                    "(?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                    (rater, item, judgement.preferred),
                )
                file.executemany("INSERT OR REPLACE INTO ratings VALUES (?, ?, ?, ?, ?)", rows)
                file.execute("DELETE FROM comments WHERE rater = ? AND item = ?", (rater, item))
                if judgement.comment:
                    values = (rater, item, judgement.comment)
                    file.execute("INSERT INTO comments VALUES (?, ?, ?)", values)

    def judgements(self, rater: str | None = None) -> dict[tuple[str, int], Judgement]:
        """Every answer, or every one of a rater, by rater and item."""
        where, values = ("WHERE rater = ?", (rater,)) if rater is not None else ("", ())
        query = (
            "SELECT rater, item, preferred, run, rating, wrong, comment "
            "FROM judgements JOIN ratings USING (rater, item) LEFT JOIN comments USING "
            f"(rater, item) {where} ORDER BY judgements.rowid"
        )
        found: dict[tuple[str, int], Judgement] = {}
        with self._open() as file:
            for who, item, preferred, run, rating, places, comment in file.execute(query, values):
                empty = Judgement({}, {}, preferred, comment or "")
                given = found.setdefault((who, item), empty)
                if rating is not None:
                    given.ratings[run] = rating
                given.wrong[run] = tuple(json.loads(places))
        return found

    def export(self, output: str | Path, *, defuse: bool = True) -> int:
        """Write a row for each rater, item and run to a new CSV file; returns how many.

        Args:
            output: UTF-8 with a byte order mark, which spreadsheets need.
            defuse: Put ``'`` before cells that a spreadsheet would take for formulas.

        Raises:
            InputError: If the file exists.
        """
        study, count = self.study, 0
        with (
            draft_file(check_output_file(output)) as draft,
            open(draft, "w", encoding="utf-8-sig", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["rater", "item", "run", "rating", "preferred", "phrases",
                             "wrong_phrases", "reference", "text", "comment"])  # fmt: skip
            for (rater, item), judgement in sorted(self.judgements().items()):
                shown = study.items[item]
                for run, (name, phrases) in enumerate(zip(study.runs, shown.phrases, strict=True)):
                    preferred = "" if study.mode == "score" else int(judgement.preferred == run)
                    wrong = (phrases[place] for place in judgement.wrong.get(run, ()))
                    lists = map("; ".join, (phrases, wrong, shown.reference or ()))
                    answer = (judgement.ratings.get(run, ""), preferred, *lists)
                    cells = [rater, item + 1, name, *answer, shown.text, judgement.comment]
                    writer.writerow(defused_row(cells, defuse=defuse))
                    count += 1
        return count


def _check(study: RatingStudy, item: int, judgement: Judgement) -> None:
    if not 0 <= item < len(study.items):
        raise InputError(f"item={item}: from 0 to {len(study.items) - 1}.")
    runs = range(len(study.runs))
    grades = {number for number, _ in study.scale}
    if study.mode == "score" and set(judgement.ratings) != set(runs):
        raise InputError("ratings: one for each list of phrases.")
    if not set(judgement.ratings.values()) <= grades:
        raise InputError(f"ratings={list(judgement.ratings.values())}: of {sorted(grades)}.")
    if judgement.preferred is not None and judgement.preferred not in runs:
        raise InputError(f"preferred={judgement.preferred}: from 0 to {runs[-1]}.")
    if len(judgement.comment) > MOST_COMMENT_CHARACTERS:
        raise InputError(f"comment: at most {MOST_COMMENT_CHARACTERS} characters.")
    for run, places in judgement.wrong.items():
        if run not in runs or not set(places) <= set(range(len(study.items[item].phrases[run]))):
            raise InputError(f"wrong={places}: places in the list of phrases.")


def _content(study: RatingStudy) -> dict[str, Any]:
    content = {name: getattr(study, name) for name in ("runs", "mode", "scale", "question", "seed")}
    return {**content, "items": [[item.text, item.phrases, item.reference] for item in study.items]}


def _study(content: dict[str, Any]) -> RatingStudy:
    items = tuple(
        Item(text, tuple(map(tuple, phrases)), None if reference is None else tuple(reference))
        for text, phrases, reference in content.pop("items")
    )
    runs, scale = tuple(content.pop("runs")), content.pop("scale")
    return RatingStudy(runs, items, scale=tuple((n, name) for n, name in scale), **content)
