"""Every way in which a file can be broken: one line that says what, where and what to do."""

import gzip
import json
import lzma
import time
import zipfile
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from frtune.data.arrow_cache import read_file
from frtune.data.loading import load_splits
from frtune.errors import InputError

JSONL = b'{"a": 1}\n{"a": 2}\n'

CASES = {
    "empty.csv": (b"", "empty.csv: is empty"),
    "blank.csv": (b"\n\n", "blank.csv: is empty"),
    "header.csv": (b"text,keys\n", "header.csv: has no rows"),
    "empty.jsonl": (b"", "empty.jsonl: is empty"),
    "blank.jsonl": (b"\n \n", "blank.jsonl: has no rows"),
    "empty.json": (b"", "empty.json: is empty"),
    "array.json": (b"[]", "array.json: has no rows"),
    "latin.csv": (
        "text,keys\nabc,d\n l’été,x\n".replace("’", "'").encode("cp1252"),
        r"latin.csv, line 3, byte 4: 0xE9 is not UTF-8\..*--encoding cp1252",
    ),
    "korean.csv": ("text\n예산안\n".encode("cp949"), "line 2, byte 1: .*--encoding cp949"),
    "late.jsonl": (JSONL * 900 + '{"a": "é"}'.encode("cp1252"), "late.jsonl, line 1801, byte 8"),
    "latin.json": (b'[{"a": "\xe9"}]', "latin.json, line 1, byte 9: 0xE9 is not UTF-8"),
    "utf16.csv": ("a,b\nc,d\n".encode("utf-16-le"), "line 1: holds a NUL byte.*utf-16-le"),
    "nul.csv": (b"a,b\nc,\0d\n", "nul.csv, line 2: holds a NUL byte"),
    "nul.jsonl": (JSONL + b'{"a": "\0"}', "nul.jsonl, line 3: holds a NUL byte"),
    "cut.jsonl": (JSONL + b'{"a": 3', r"cut.jsonl, line 3: is not JSON \("),
    "text.jsonl": (JSONL + b"hello\n", "text.jsonl, line 3: is not JSON"),
    "list.jsonl": (JSONL + b"[1]\n", "list.jsonl, line 3: holds list, not a row"),
    "none.jsonl": (JSONL + b"{}\n", "none.jsonl, line 3: holds an empty object"),
    "comma.json": (b'[\n{"a": 1}\n{"a": 2}\n]', "comma.json, line 3: is not JSON .*','"),
    "cut.json": (b'[\n{"a": 1},\n{"a": ', "cut.json, line 3: the array ends in the middle"),
    "open.json": (b'[\n{"a": 1},\n', "open.json, line .: the array ends in the middle"),
    "numbers.json": (b"[\n1, 2]", "numbers.json, line 2: holds int, not a row"),
    "object.json": (b'{\n"a": 1}', "object.json, line 1: is not JSON"),
    "ragged.csv": (b'a,b\n"x\ny",1\n2\n', r"ragged.csv, line 4: 1 fields, but the header has 2"),
    "wide.csv": (b"a,b\n1,2,3\n", r"wide.csv, line 2: 3 fields, but the header has 2 \(a, b\)"),
    "ragged.tsv": (b"a\tb\n1\t2\n3\n", "ragged.tsv, line 3: 1 fields"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "twice.csv, line 1: the header has a more than once"),
    "unclosed.csv": (b'a,b\n1,2\n"x,3\n4,5\n', "unclosed.csv, line 3: a quotation mark opens"),
    "stray.csv": (b'a,b\n"x" y,3\n', "stray.csv, line 2: a quoted field does not end"),
    "mixed.jsonl": (
        b'{"k": ["a"]}\n{"k": "b"}\n',
        "mixed.jsonl, line 2, column k: holds text, but a list before it",
    ),
    "late_mixed.jsonl": (
        b'{"k": 1}\n' * 1200 + b'{"k": "b"}\n',
        "late_mixed.jsonl, line 1201, column k: holds text, but a number before it",
    ),
    "inner.jsonl": (b'{"k": ["a"]}\n{"k": [1]}\n', "inner.jsonl, line 2, column k"),
    "big.jsonl": (b'{"k": 1}\n{"k": 99999999999999999999}\n', "line 2, column k: .*64 bits"),
    "half.jsonl": (b'{"k": "a"}\n{"k": "\\ud800"}\n', "line 2, column k: .*surrogate"),
    "bad.parquet": (b"PAR1", "bad.parquet: is not Parquet"),
    "notes.txt": (b"a\n", r"notes.txt: its extension says no format that is read here \(.csv"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_file_is_one_clear_line(tmp_path, name):
    content, message = CASES[name]
    (tmp_path / name).write_bytes(content)
    for _ in range(2):  # the second time nothing half-written may be found in the cache
        with pytest.raises(InputError, match=message) as caught:
            load_splits(tmp_path / name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_an_unknown_encoding_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("a\nb\n")
    with pytest.raises(InputError, match="encoding='utf-9': a codec's name"):
        load_splits(tmp_path / "a.csv", encoding="utf-9")


def test_two_files_for_a_split_are_named(tmp_path):
    for name in ("valid.csv", "dev.csv", "train.csv"):
        (tmp_path / name).write_text("a\nb\n")
    with pytest.raises(InputError, match=r"dev.csv and valid.csv are all validation"):
        load_splits(tmp_path)


def test_files_without_a_split_name_are_not_guessed_at(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("a\nb\n")
    with pytest.raises(InputError, match=r"a.csv and b.csv are all train"):
        load_splits(tmp_path)


def test_a_folder_with_nothing_to_read(tmp_path):
    (tmp_path / "x.txt").write_text("a")
    with pytest.raises(InputError, match="holds no file to read"):
        load_splits(tmp_path)


def test_a_file_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "articles.csv").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"no such file or folder. Did you mean articles.csv"):
        load_splits(tmp_path / "article.csv")


def test_too_few_rows_to_cut(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(JSONL)
    with pytest.raises(InputError, match="2 rows are too few to cut"):
        load_splits(tmp_path / "a.jsonl")


def test_types_that_differ_between_files(tmp_path):
    (tmp_path / "train.jsonl").write_text(json.dumps({"k": "a"}))
    (tmp_path / "test.jsonl").write_text(json.dumps({"k": ["a"]}))
    with pytest.raises(InputError, match=r"test.jsonl, column k: holds list<.*but string"):
        load_splits(tmp_path)


def test_objects_that_are_no_data_set(tmp_path):
    rows = Dataset.from_dict({"a": [1]})
    with pytest.raises(InputError, match="data=list: a path, a hub name"):
        load_splits([1])
    with pytest.raises(InputError, match="its splits are x, y"):
        load_splits(DatasetDict(x=rows, y=rows))
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match="looks like a save_to_disk folder but does not open"):
        load_splits(tmp_path)


def test_joined_parquet_files_are_refused(tmp_path):
    """The footer of the second knows its own rows alone, so the first's would vanish."""
    table = pa.table({"text": [f"row {i}" for i in range(30)]})
    for name, options in {
        "plain": {},
        "indexed": {"write_page_index": True, "row_group_size": 7},
        "raw": {"use_dictionary": False, "compression": "none", "data_page_version": "2.0"},
    }.items():
        file = tmp_path / f"{name}.parquet"
        pq.write_table(table, file, **options)
        assert len(read_file(file)) == 30
        joined = tmp_path / f"{name}_joined.parquet"
        for between in (b"", b"\n"):
            joined.write_bytes(file.read_bytes() + between + file.read_bytes())
            with pytest.raises(InputError, match="several files joined"):
                read_file(joined)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_files_that_unpack_to_very_much_are_refused_before_their_lines_are_read(tmp_path, suffix):
    file, blank = tmp_path / f"train.csv{suffix}", b"\n" * (70 << 20)
    if suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("train.csv", blank)
    else:
        compress = {".gz": gzip.compress, ".xz": partial(lzma.compress, preset=0)}[suffix]
        file.write_bytes(compress(blank))
    started = time.perf_counter()
    with pytest.raises(InputError, match="200 times its size"):
        load_splits(file)
    assert time.perf_counter() - started < 10  # parsed as lines it takes minutes


def test_saved_data_cut_between_batches_is_refused(tmp_path):
    rows = Dataset.from_dict({"text": [f"row {i}" for i in range(2500)]})
    rows.select(range(7)).save_to_disk(tmp_path / "few")
    assert len(load_splits(tmp_path / "few", cut=False)[0]["train"]) == 7
    rows.save_to_disk(tmp_path / "cut")
    (file,) = (tmp_path / "cut").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="rows are missing"):
        load_splits(tmp_path / "cut")
