"""The README.md of whole runs: front matter for the hub, settings, and what was run."""

from __future__ import annotations

import ast
import json
import logging
import re
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData, metadata_load

import frtune
from conftest import CORPUS
from frtune import KeyphraseGeneration, SequenceClassification, build_model, training_arguments
from frtune.cli import main
from frtune.model_cards.checked import Examples, checked, examples_of, run_lines
from frtune.model_cards.metadata import (
    PIPELINES,
    front_matter,
    languages_of,
    metadata,
    origin_of,
    published_as,
)
from frtune.model_cards.sections import Section, sections_for
from frtune.model_quantization import quantize

HOSTILE = 'it\'s a "run": #1 `x` [y]|z <b>'
FEW = [
    *("--max-steps", "2", "--max-train-rows", "24", "--max-eval-rows", "4"),
    *("--disable-tqdm", "true", "--no-bf16"),
]
CLASSES = SequenceClassification(labels=["bad", "good"], max_source_tokens=64)


def card_of(directory):
    return (directory / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run whose directory has a name that is awkward in YAML, Markdown, Python and a shell."""
    directory = tmp_path_factory.mktemp("card") / HOSTILE
    assert not main([
        "train", "classification", "--data", "sample", "--output-dir", str(directory), *FEW,
        "--max-test-rows", "6", "--mixup", "--mixup-alpha", "0.3",
    ])  # fmt: skip
    return directory


def test_the_front_matter_is_what_the_hub_reads(hostile):
    found = metadata_load(hostile / "README.md")
    assert ModelCardData(**found).to_dict() == found
    assert found["pipeline_tag"] == "text-classification"
    assert found["library_name"] == "transformers"
    assert found["tags"] == ["frtune", "classification"]
    assert not {"base_model", "license", "datasets"} & found.keys()  # nobody has said any
    card = ModelCard(card_of(hostile)).data
    assert card.model_name == HOSTILE
    scores = json.loads((hostile / "metrics.json").read_text("utf-8"))
    assert {each.metric_name.split()[0]: each.metric_value for each in card.eval_results} == {
        name: round(scores[f"test_{name}"], 4) for name in CLASSES.headline
    }
    first = card.eval_results[0]
    assert (first.task_type, first.dataset_split) == ("text-classification", "test")
    assert f"95 % interval {scores['test_accuracy_low']:.4f} to" in first.metric_name


def test_a_name_breaks_neither_markdown_nor_python(hostile):
    text = card_of(hostile)
    (title,) = [line for line in text.splitlines() if line.startswith("# ")]
    assert title == '# classification: it\'s a "run": #1 \\`x\\` \\[y\\]\\|z \\<b\\>'
    blocks = re.findall(r"^(`{3,})python\n(.*?)^\1$", text, re.S | re.M)
    assert len(blocks) == 2
    for _, code in blocks:
        names = [each.value for each in ast.walk(ast.parse(code)) if isinstance(each, ast.Constant)]
        assert HOSTILE in names


def test_lines_were_run_on_a_row_that_predictions_hold(hostile):
    text = card_of(hostile)
    assert text.count("They print what `frtune predict` answers") == 1
    assert "on a text of a test row" in text
    (shown,) = re.findall(r'^text = "(.*)"$', text, re.M)
    lines = (hostile / "predictions.jsonl").read_text("utf-8").splitlines()
    assert any(json.loads(line)["input"].startswith(shown[:40]) for line in lines)


def test_the_settings_that_made_the_model_are_in_the_card(hostile):
    table = card_of(hostile).split("## Settings")[1].split("`config.yaml` beside")[0]
    assert "| `mixup` | `True` | `False` |" in table
    assert "| `mixup_alpha` | `0.3` | `0.2` |" in table
    assert "| `max_steps` | `2` | `-1` |" in table
    assert "`learning_rate`" in table and "`separator`" not in table and "lora" not in table
    config = yaml.safe_load((hostile / "config.yaml").read_text("utf-8"))
    listed = re.findall(r"^\| `(\w+)`", table, re.M)
    assert {*listed} <= {*config} and "output_dir" not in listed


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, tiny):
    """An adapter that writes, on a base with a card of its own; there are no test rows."""
    folder = tmp_path_factory.mktemp("adapter")
    base = folder / "base"
    base.mkdir()
    for file in tiny("t5").iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    (base / "README.md").write_text(
        "---\nlicense: apache-2.0\nbase_model: some/base\n---\n# of somebody else\n", "utf-8"
    )
    assert not main([
        "train", "keyphrases", "--data", "sample", "--output-dir", str(folder / "run"), *FEW,
        "--checkpoint", str(base), "--lora", "--merge", "--max-test-rows", "0",
        "--max-target-tokens", "9", "--prefix", "phrases: ", "--generation-num-beams", "2",
    ])  # fmt: skip
    return folder / "run"


def test_an_adapter_names_its_base_and_its_license(adapter):
    found = metadata_load(adapter / "README.md")
    assert found["base_model"] == "some/base"
    assert found["base_model_relation"] == "finetune"  # it does not fit some/base
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "peft"
    assert found["pipeline_tag"] == "text-generation"
    assert {"lora", "text2text-generation"} <= {*found["tags"]}
    assert "model-index" not in found and "metrics" not in found  # untested


def test_lines_of_an_adapter_and_of_its_merged_model_are_run(adapter):
    text = card_of(adapter)
    assert text.count("They print what `frtune predict` answers") == 2
    assert "on a text of a validation row" in text


def test_generate_needs_not_be_told_what_frtune_tells_it(adapter):
    for directory in (adapter, adapter / "merged"):
        settings = json.loads((directory / "generation_config.json").read_text("utf-8"))
        assert settings["max_new_tokens"] == 9
        assert settings["num_beams"] == 2
        assert settings["do_sample"] is False
        assert settings["eos_token_id"] == [1] and settings["pad_token_id"] == 0
    config = json.loads((adapter / "merged" / "config.json").read_text("utf-8"))
    assert config["prefix"] == "phrases: "


def saved(task, checkpoint, folder, lora=False, merge=False):
    adapter = frtune.lora_config() if lora else None
    model, tokenizer = build_model(task, checkpoint=checkpoint, lora=adapter, proof=False)
    args = training_arguments(
        task, str(folder), bf16=False, eval_strategy="no", load_best_model_at_end=False
    )
    trainer = task.trainer(model, tokenizer, args)
    frtune.save(trainer, folder, proof=False, merge=merge)
    return model, tokenizer


@pytest.mark.parametrize("own", [True, False, None])
@pytest.mark.parametrize(
    ("family", "lora"), [("t5", False), ("t5", True), ("llama", True), ("bert", False)]
)
def test_use_cache_is_saved_as_the_checkpoint_has_it(tiny, tmp_path, family, lora, own):
    base = tmp_path / "base"
    base.mkdir()
    for file in tiny(family).iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    config = json.loads((base / "config.json").read_text("utf-8"))
    config.pop("use_cache", None)
    config |= {} if own is None else {"use_cache": own}
    (base / "config.json").write_text(json.dumps(config), "utf-8")
    task = CLASSES if family == "bert" else KeyphraseGeneration(max_source_tokens=64)
    model, _ = saved(task, base, tmp_path / "run", lora=lora, merge=lora)
    assert model.config.use_cache is False  # training goes on without it
    place = tmp_path / "run" / ("merged" if lora else "")
    found = json.loads((place / "config.json").read_text("utf-8"))
    assert found.get("use_cache") in ((True, None) if own is None else (own,))


def test_a_prefix_of_an_earlier_task_is_taken_away(tiny, tmp_path):
    saved(KeyphraseGeneration(prefix="a: ", max_source_tokens=64), tiny("t5"), tmp_path / "one")
    saved(KeyphraseGeneration(prefix="", max_source_tokens=64), tmp_path / "one", tmp_path / "two")
    configs = [json.loads((tmp_path / n / "config.json").read_text()) for n in ("one", "two")]
    assert [config.get("prefix") for config in configs] == ["a: ", None]


# --- lines that fail, differ, or are not run -----------------------------------------------------


@pytest.fixture(scope="module")
def opened(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened") / "run"
    model, tokenizer = saved(CLASSES, tiny("bert"), folder)
    return folder, sections_for(CLASSES, model, tokenizer, directory=folder, merged=False)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["directory =", "import frtune", "print(1)"],
            "**These lines fail**: `ImportError: frtune",
        ),
        (["directory =", "import frtune.cli"], "**These lines fail**: `ImportError: frtune.cli"),
        (["directory =", "open(directory + '/no')"], "**These lines fail**: `FileNotFoundError"),
        (['print({"label": "..."})'], "**These lines answer otherwise than frtune.**"),
    ],
)
def test_a_card_says_what_its_lines_really_do(opened, caplog, lines, said):
    folder, _ = opened
    with caplog.at_level(logging.WARNING):
        text = checked(
            [Section("X", "", lines)], CLASSES, Examples([{"text": CORPUS[0]}], "a text"),
            directory=folder, name="run",
        )  # fmt: skip
    assert said in text and "They print what" not in text
    assert "README.md: its lines for X" in caplog.text


def test_lines_that_were_not_run_are_not_called_so(opened):
    folder, sections = opened
    examples = Examples([{"text": CORPUS[0]}], "a text")
    text = checked(
        sections, CLASSES, examples, directory=folder, name="run", unchecked="--no-proof"
    )
    assert "These lines were not run: --no-proof." in text and "They print" not in text


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("psutil.virtual_memory", lambda: SimpleNamespace(available=1000), "and 0.0 are free"),
        ("frtune.model_cards.checked.MOST_BYTES", 1000, "is left out above 0 GiB"),
    ],
)
def test_a_model_that_would_take_too_much_is_not_opened_again(
    opened, monkeypatch, place, value, said
):
    monkeypatch.setattr(place, value)
    folder, sections = opened
    text = checked(
        sections, CLASSES, Examples([{"text": CORPUS[0]}], "a text"), directory=folder, name="run"
    )
    assert "These lines were not run: " in text and said in text


def test_lines_know_no_frtune_and_leave_the_draws_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert run_lines("import torch\nprint(torch.rand(2).tolist() and 'x')") == "x"
    assert torch.rand(1) == expected


def test_a_card_that_is_published_shows_no_row():
    rows = [{"text": "A row of the user's."}]
    assert examples_of(CLASSES, {"test": rows}, public=False).rows == rows
    assert rows[0] not in examples_of(CLASSES, {"test": rows}, public=True).rows


# --- what is known, and what is not ---------------------------------------------------------------


def test_nothing_is_invented_of_a_checkpoint(tmp_path):
    assert origin_of(None) == (None, {})
    assert origin_of("some/model-not-here") == ("some/model-not-here", {})
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n", "utf-8")  # broken
    assert origin_of(tmp_path) == (None, {})
    (tmp_path / "README.md").write_text(
        "---\nbase_model: ../up\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\n---\n",
        "utf-8",
    )
    hub_id, license_ = origin_of(tmp_path)
    assert hub_id is None
    assert license_ == {"license": "other", "license_name": "mine", "license_link": "LICENSE"}


def test_data_are_named_only_where_they_are_from_the_hub(tmp_path):
    (tmp_path / "rows.csv").write_text("a", "utf-8")
    common = {"name": "x", "origin": origin_of(None), "relation": "finetune", "library": "peft"}
    for data, expected in (
        ("org/rows", ["org/rows"]), ("sample", None), (str(tmp_path / "rows.csv"), None),
        ("./rows", None), ("a b", None),
    ):  # fmt: skip
        assert metadata(CLASSES, "encoder", data=data, **common).get("datasets") == expected


def test_a_language_is_told_only_where_it_is_plain():
    def told(*texts):
        return languages_of(CLASSES, [{"text": text} for text in texts])

    french = "Le budget de la ville est voté par les élus pour une année."
    assert told(french, french) == ["fr"]
    assert told("내년 예산은 늘어난다") == ["ko"]
    assert told(french, "The budget of the town is on the rise.") == []
    assert told("Бюджет города растёт") == []  # one of several languages
    assert told("xx yy") == told() == []
    assert languages_of(KeyphraseGeneration(language="fr"), [{"text": "?"}]) == ["fr"]


def test_front_matter_quotes_what_yaml_would_read(tmp_path):
    data = metadata(
        CLASSES, "encoder", name="yes: # no\n- x", origin=origin_of(None), relation="finetune",
        library="transformers", tags=["a: b", "---"],
    )  # fmt: skip
    (tmp_path / "README.md").write_text(f"{front_matter(data)}\n# x\n", "utf-8")
    assert metadata_load(tmp_path / "README.md")["tags"][-2:] == ["a: b", "---"]


def test_every_head_of_a_task_has_a_pipeline_of_the_hub():
    from frtune.tasks.config_file import task_class

    for name in ("classification", "similarity", "keywords", "keyphrases"):
        assert {*task_class(name).auto_classes.values()} <= {*PIPELINES}


# --- quantised models -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "library"),
    [("int8", "frtune"), pytest.param("nf4", "transformers", marks=pytest.mark.slow)],
)
def test_a_quantised_model_has_a_card_of_the_same_kind(hostile, tmp_path, method, library):
    directory = tmp_path / "small `x`"
    quantize(hostile, directory, method=method, proof=method == "nf4")
    found, text = metadata_load(directory / "README.md"), card_of(directory)
    assert found["library_name"] == library
    assert found["pipeline_tag"] == "text-classification"
    assert {"quantized", method, "frtune"} <= {*found["tags"]}
    assert "model-index" not in found
    if library == "frtune":
        assert "Only frtune opens these weights." in text
    else:
        assert text.count("They print what `frtune predict` answers") == 1


def test_a_published_model_is_the_base_of_its_quantised_one(tmp_path):
    assert published_as(tmp_path) is None
    (tmp_path / "config.yaml").write_text("push_to_hub: true\nhub_model_id: me/model\n", "utf-8")
    assert published_as(tmp_path) == "me/model"
    (tmp_path / "config.yaml").write_text("hub_model_id: me/model\n", "utf-8")
    assert published_as(tmp_path) is None
