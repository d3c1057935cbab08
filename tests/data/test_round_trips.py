"""Tables of every format, written at random and read back: the same cells, or a refusal."""

import bz2
import csv
import gzip
import io
import json
import lzma
import unicodedata
import zipfile

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from frtune.data import readers, spreadsheets, table_files
from frtune.data.cell_types import as_cells, cell_kind, column_kind, typed_array
from frtune.data.loading import load_splits
from frtune.data.reading import Reading
from frtune.errors import InputError
from frtune.tasks.classification import SequenceClassification

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.sampled_from(["007", "-0", "6E1", "401.10", "1990.10", "1e5", "+1", "NA", "null", "nan",
                     "inf", "true", "1_000", " 1", "1 ", "١٢", "1,5", "--5", "0x1F", ".5", "5."]),
)  # fmt: skip
# what no file of text holds: half surrogate pairs, and NUL, which is refused
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
CELLS = st.one_of(NUMBERS, st.text(CHARACTERS, max_size=12), st.just(""))
PLAIN = st.one_of(
    NUMBERS, st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), max_size=12)
)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12)
NUMBER_TABLES = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=12)


def written(rows, delimiter=",", line_end="\n"):
    out = io.StringIO()
    # Python's writer leaves a return alone unquoted, which its reader and RFC 4180 take for an end
    returns = any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("a", "b", "c"), *rows])
    return out.getvalue()


def cells_of(path, **options):
    """The cells as text again, from whatever types they were given."""
    rows = load_splits(path, cut=False, **options)[0]["train"]
    return list(zip(*(as_cells(rows[name][:]) for name in rows.column_names), strict=True))


@QUICK
@given(
    rows=st.one_of(TABLES, NUMBER_TABLES),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
@example(rows=[("1294030472427835000", "401.10", "6E1")], delimiter=",", line_end="\n")
@example(rows=[("1.5", "1", "1")] * 3 + [("2", "x", "")], delimiter=";", line_end="\r\n")
def test_cells_of_a_csv_file_come_back(tmp_path, rows, delimiter, line_end):
    path = tmp_path / "rows.csv"
    path.write_bytes(written(rows, delimiter, line_end).encode())
    assert cells_of(path) == rows


@QUICK
@given(
    rows=st.one_of(TABLES, NUMBER_TABLES),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    damage=st.sampled_from(["", '"', "\n", "\r", "\0", "\n\n", ",", '\n"x" y,1,2\n', '\n5" z,1,2\n',
                            '\n"a""b",c"d,e\n', "\n,,\n", "\n \n", "\ufeff"]),
    at=st.integers(0, 80),
)  # fmt: skip
@example(rows=[("a", "b", "c")], delimiter=",", line_end="\n", damage='\n"x" y,1,2\n', at=6)
@example(rows=[("", "0.0", "")], delimiter="\t", line_end="\n", damage="\n \n", at=0)
@example(rows=[("a", "0.0", "")] * 2, delimiter="\t", line_end="\n", damage=" \n", at=15)
def test_both_readers_give_the_same(tmp_path, rows, delimiter, line_end, damage, at):
    """The quick reader must never give what ours would not; it may leave the file to ours."""
    text = written(rows, delimiter, line_end)
    at = min(at, len(text))
    path = tmp_path / "rows.csv"
    path.write_bytes((text[:at] + damage + text[at:]).encode())

    def outcome(scan):
        before, table_files.count_records = table_files.count_records, scan
        try:
            table_files.write_table(path, tmp_path / "out.arrow", Reading())
        except InputError as error:
            return str(error)
        finally:
            table_files.count_records = before
        with pa.memory_map(str(tmp_path / "out.arrow")) as source:
            table = pa.ipc.open_stream(source).read_all()
        return table.schema.types, table.to_pydict()

    assert outcome(table_files.count_records) == outcome(lambda path, layout, encoding: None)


def test_plain_tables_are_read_by_the_quick_reader(tmp_path, monkeypatch):
    """Otherwise the comparison above compares our reader with itself."""
    monkeypatch.setattr(table_files, "_careful_batches", None)
    for name, text in (
        ("a.csv", 'a,b\n"x, ""y""\nz",1\n\n2,\r\n'),
        ("b.csv", "a;b\r\n1;2\r\n"),
        ("c.tsv", 'a\tb\nx\t5" z\n'),
        ("d.tsv", 'a\tb\n"x\ty"\tz'),
    ):
        (tmp_path / name).write_bytes(text.encode())
        assert table_files.write_table(tmp_path / name, tmp_path / "out", Reading()) >= 1


def test_a_table_of_many_blocks_is_read_alike(tmp_path, monkeypatch):
    from frtune.data import table_scan

    rows = [(f"t{i}", 'x "y"\n' * (i % 7), str(i)) for i in range(4000)]
    path = tmp_path / "rows.csv"
    path.write_bytes(written(rows).encode())
    for block in (1 << 22, 97):
        monkeypatch.setattr(table_scan, "_BLOCK", block)
        layout = table_files.find_layout(path)
        assert table_scan.count_records(path, layout) == 4001
    monkeypatch.setattr(table_files, "_BLOCK", 1 << 14)
    assert cells_of(path) == rows


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp949", "cp1252"]


@QUICK
@given(rows=TABLES, encoding=st.sampled_from(ENCODINGS))
def test_cells_of_every_encoding_come_back_or_are_refused(tmp_path, rows, encoding):
    text = written(rows)
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        return
    path = tmp_path / "rows.csv"
    path.write_bytes(data)
    given = None if encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32") else encoding
    assert cells_of(path, encoding=given) == rows


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", data)
    return out.getvalue()


COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
    "zip": zipped,
}


@QUICK
@given(
    rows=TABLES, kind=st.sampled_from(sorted(COMPRESS)), suffix=st.sampled_from(["csv", "jsonl"])
)
def test_compressed_cells_come_back(tmp_path, rows, kind, suffix):
    objects = [dict(zip("abc", row, strict=True)) for row in rows]
    lines = "".join(json.dumps(row) + "\n" for row in objects)
    text = written(rows) if suffix == "csv" else lines
    path = tmp_path / f"rows.{suffix}.{kind}"
    path.write_bytes(COMPRESS[kind](text.encode()))
    assert cells_of(path) == rows


@pytest.mark.parametrize("kind", sorted(COMPRESS))
def test_what_follows_or_is_missing_of_compressed_data_is_refused(tmp_path, kind):
    data = written([(str(i), "x", "é") for i in range(3000)]).encode()
    path = tmp_path / f"rows.csv.{kind}"
    whole = COMPRESS[kind](data)
    broken = [whole[:-9]] if kind == "zip" else [whole[:-9], whole + b"garbage"]
    for content in [*broken, b"text,label\n"]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"rows.csv.*: (is damaged|cannot be opened)"):
            cells_of(path)
    if kind != "zip":
        path.write_bytes(COMPRESS[kind](data[:9000]) + COMPRESS[kind](data[9000:]))
        assert len(cells_of(path)) == 3000


def test_an_archive_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "rows.csv.zip", "w") as archive:
        for name in ("a.csv", "b.csv", "__MACOSX/._a.csv"):
            archive.writestr(name, "a,b\n1,2\n")
    with pytest.raises(InputError, match=r"holds 2 files \(a.csv, b.csv\), and one is read"):
        cells_of(tmp_path / "rows.csv.zip")


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=3),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


@QUICK
@example(names=["a"], values=[2**53 + 1, 0.5], form="lines", ascii_only=False)
@example(names=["a"], values=[0.5, 2**53 + 1], form="lines", ascii_only=False)
@given(
    names=st.lists(NAMES, min_size=1, max_size=3),
    values=st.lists(VALUES, min_size=1, max_size=8),
    form=st.sampled_from(["lines", "array", "indented", "two arrays"]),
    ascii_only=st.booleans(),
)
def test_values_of_json_come_back_or_are_refused(tmp_path, names, values, form, ascii_only):
    names = list(dict.fromkeys(unicodedata.normalize("NFC", name) for name in names))
    rows = [dict.fromkeys(names, value) for value in values]
    half = len(rows) // 2
    dump = json.JSONEncoder(
        ensure_ascii=ascii_only, indent=2 if form == "indented" else None
    ).encode
    text = {
        "lines": "\n".join(map(dump, rows)),
        "two arrays": dump(rows[:half]) + "\n" + dump(rows[half:]),
    }.get(form) or dump(rows)
    path = tmp_path / "rows.json"
    path.write_text(text, encoding="utf-8")
    try:
        found = load_splits(path, cut=False)[0]["train"].to_list()
    except InputError as error:
        # of several types, or with a name that ends a string of C
        assert any(each in str(error) for each in ("but", "would lose digits", "holds U+0000"))
        return
    assert found == rows


@QUICK
@given(cells=st.lists(NUMBERS, min_size=1, max_size=6))
def test_a_column_is_converted_only_where_its_characters_come_back(cells):
    array = pa.array(cells)
    kind = column_kind(array)
    assert as_cells(typed_array(array, kind).to_pylist()) == cells
    kinds = {cell_kind(cell) for cell in cells}
    assert kind == (kinds.pop() if len(kinds) == 1 else "text")


SPLITS = ["train", "training", "Validation", "val", "dev", "eval", "test", "holdout", "articles",
          "sts-dev", "raw", "train-00000-of-00001", "train-00000-of-00002", "x_test"]  # fmt: skip


@QUICK
@given(names=st.sets(st.sampled_from(SPLITS), min_size=1, max_size=4))
def test_every_row_of_a_folder_is_read_named_or_refused(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("splits")
    for name in names:
        (folder / f"{name}.csv").write_text("text,label\na,b\n")
    try:
        splits, notes = load_splits(folder, cut=False)
    except InputError as error:
        assert any(f"{name}" in str(error) for name in names) or "of 2 parts" in str(error)
        return
    left = [note for note in notes if "was not read" in note]
    assert sum(map(len, splits.values())) + len(left) == len(names)


# --- Excel ---------------------------------------------------------------------------------------


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
OVERRIDE = f'<Override PartName="/xl/{{}}.xml" ContentType="{KIND}.{{}}+xml"/>'


def workbook(path, sheets):
    """A small .xlsx as its standard describes it: text in the cells, numbers where they are."""

    def cell(value):
        if isinstance(value, (int, float)):
            return f"<c><v>{value!r}</v></c>"
        text = value.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;")
        return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'

    def links(kinds_and_targets):
        return f'<Relationships xmlns="{PACKAGE}/relationships">' + "".join(
            f'<Relationship Id="rId{i}" Type="{REL}/{kind}" Target="{target}"/>'
            for i, (kind, target) in enumerate(kinds_and_targets, start=1)
        ) + "</Relationships>"  # fmt: skip

    numbers = range(1, len(sheets) + 1)
    names = "".join(f'<sheet name="s{i}" sheetId="{i}" r:id="rId{i}"/>' for i in numbers)
    parts = [OVERRIDE.format("workbook", "sheet.main")]
    parts += [OVERRIDE.format(f"worksheets/sheet{i}", "worksheet") for i in numbers]
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="{relations}"/>{"".join(parts)}</Types>',
        "_rels/.rels": links([("officeDocument", "xl/workbook.xml")]),
        "xl/_rels/workbook.xml.rels": links(
            [("worksheet", f"worksheets/sheet{i}.xml") for i in numbers]
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{names}</sheets>'
        "</workbook>",
    }
    for i, rows in zip(numbers, sheets, strict=True):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{i}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')


@QUICK
@given(rows=st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=6))
def test_cells_of_excel_come_back(tmp_path, rows):
    pytest.importorskip("python_calamine")
    rows = [("x" + a, b) for a, b in rows]  # a row of nothing is no row
    workbook(tmp_path / "rows.xlsx", [[("a", "b"), *rows], []])
    assert cells_of(tmp_path / "rows.xlsx") == rows


def test_numbers_of_excel_are_those_of_csv(tmp_path):
    pytest.importorskip("python_calamine")
    workbook(tmp_path / "a.xlsx", [[("text", "n", "x"), ("a", 1, 0.5), ("b", 2, 1.25)]])
    (tmp_path / "a.csv").write_text("text,n,x\na,1,0.5\nb,2,1.25\n")
    excel, table = (
        load_splits(tmp_path / f"a.{s}", cut=False)[0]["train"] for s in ("xlsx", "csv")
    )
    assert excel.to_list() == table.to_list() and excel.features == table.features


def test_two_sheets_with_rows_are_refused_and_so_is_a_broken_file(tmp_path):
    pytest.importorskip("python_calamine")
    workbook(tmp_path / "a.xlsx", [[("a", "b"), ("1", "2")]] * 2)
    with pytest.raises(InputError, match=r"2 sheets hold rows \(s1, s2\), and one is read"):
        cells_of(tmp_path / "a.xlsx")
    (tmp_path / "b.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"b.xlsx: is no spreadsheet that can be read"):
        cells_of(tmp_path / "b.xlsx")


def test_without_the_extra_its_name_is_said(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "python_calamine", None)
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"read with the extra excel. Install it \(pip install"):
        cells_of(tmp_path / "a.xlsx")


def test_rows_of_excel_are_counted_in_its_xml(tmp_path, monkeypatch):
    pytest.importorskip("python_calamine")
    rows = [("text", "n"), ("a", 1), ("", ""), (" ", ""), ("b <&", 2), ("", 3)]
    workbook(tmp_path / "a.xlsx", [rows, []])
    assert spreadsheets.count_rows(tmp_path / "a.xlsx") == 4
    assert cells_of(tmp_path / "a.xlsx") == [("a", "1"), ("b <&", "2"), ("", "3")]
    records = list(spreadsheets.sheet_records(tmp_path / "a.xlsx"))
    monkeypatch.setattr(readers, "sheet_records", lambda path: iter(records[:-1]))
    workbook(tmp_path / "b.xlsx", [rows])
    with pytest.raises(RuntimeError, match="2 rows were read, but the file holds 3"):
        load_splits(tmp_path / "b.xlsx", cut=False, text_columns=["n"])


def test_a_number_that_excel_rounds_is_refused_where_it_is_needed(tmp_path):
    pytest.importorskip("python_calamine")
    rows = [("text", "label"), ("a", 1234567890123456789), ("b", 1234567890123456788)]
    workbook(tmp_path / "a.xlsx", [rows])
    with pytest.raises(InputError, match=r"line 2, column label: holds 1\.23.*Write the column as"):
        load_splits(tmp_path / "a.xlsx", task=SequenceClassification())
    task = SequenceClassification(label_column="text")
    assert len(load_splits(tmp_path / "a.xlsx", task=task, cut=False)[0]["train"]) == 2
