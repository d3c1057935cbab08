"""What a keyphrase task puts in comes out again, and nothing else does."""

from __future__ import annotations

import copy
import json
import shutil
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from datasets import Dataset, DatasetDict

from conftest import TOKENIZERS
from frtune import InputError, KeyphraseGeneration, SequenceClassification, build_model
from frtune.data.audit import audit
from frtune.metrics import default_tokenizer
from frtune.models.families import FAMILIES
from frtune.run.data import read_data
from frtune.run.settings import RunSettings
from frtune.score_files import baseline_metrics
from frtune.tasks.generated import Generated
from frtune.tasks.keyphrases import END, MIDDLE, START

SEQ2SEQ = [made for made in TOKENIZERS if FAMILIES[made[0]].kind == "encoder-decoder"]
DECODERS = [made for made in TOKENIZERS if FAMILIES[made[0]].kind == "decoder"]
TEXT = "L'été, la forêt brûlée sera replantée."
LONG = " ".join([TEXT] * 20)
PARTS = ("present", "absent")
PHRASES = ["l'été", "forêt brûlée", "cœur de la ville"]


@pytest.fixture(scope="module")
def tools(tiny):
    """``tools(("t5", "byte-level"))``: the tokenizer that a builder returns, and the kind."""
    made = {}

    def get(recipe):
        if recipe not in made:
            checkpoint = str(tiny(*recipe))
            _, tokenizer = build_model(KeyphraseGeneration(), checkpoint=checkpoint, proof=False)
            kind = "decoder" if recipe in DECODERS else "encoder-decoder"
            made[recipe] = SimpleNamespace(tokenizer=tokenizer, kind=kind)
        return made[recipe]

    return get


@pytest.fixture(scope="module")
def korean(shared, tmp_path_factory):
    """Polyglot-Ko's own tokenizer: it has the markers, and its pad token is its EOS."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("korean") / "polyglot"
    shutil.copytree(shared / "data" / "ko_polyglot_tokenizer", directory)
    directory.chmod(0o755)
    config = GPTNeoXConfig(
        vocab_size=30080, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, bos_token_id=2, eos_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    GPTNeoXForCausalLM(config).save_pretrained(directory)
    _, built = build_model(KeyphraseGeneration(), checkpoint=str(directory), proof=False)
    return SimpleNamespace(
        published=PreTrainedTokenizerFast.from_pretrained(directory), built=built
    )


def encode(task, tool, text=TEXT, phrases=PHRASES, **settings):
    """The first row of an encoded batch of two."""
    batch = {"text": [text, "x"], "keyphrases": [phrases, ["x"]]}
    encoded = task.encode(batch, tool.tokenizer, kind=tool.kind, **settings)
    assert {len(values) for values in encoded.values()} == {2}
    return {name: values[0] for name, values in encoded.items()}


def plain_ids(tool, text):
    return tool.tokenizer(text, add_special_tokens=False)["input_ids"]


def wrote(tool, text):
    """Ids of what a model wrote, without an end."""
    return plain_ids(tool, text)


# --- sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", SEQ2SEQ, ids=str)
def test_an_encoder_reads_prefix_and_text_and_eos_once_at_the_end(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    ids = encode(task, tool)["input_ids"]
    eos = tool.tokenizer.eos_token_id
    assert ids[-1] == eos and ids.count(eos) == 1
    text = tool.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert text.strip() == f"generate keyphrases: {TEXT}"


@pytest.mark.parametrize("recipe", DECODERS, ids=str)
def test_a_decoder_reads_the_text_between_two_markers(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    row = encode(task, tool, with_labels=False)
    start, middle = tool.tokenizer.convert_tokens_to_ids([START, MIDDLE])
    assert row["input_ids"] == [start, *plain_ids(tool, TEXT), middle]
    assert row["prompt_length"] == row["length"] == len(row["input_ids"])
    assert "labels" not in row and "target_cut" not in row


@pytest.mark.parametrize("recipe", SEQ2SEQ, ids=str)
def test_truncation_cuts_the_article_and_keeps_prefix_eos_and_target(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration(max_source_tokens=32)
    row, whole = encode(task, tool, LONG), encode(KeyphraseGeneration(), tool, LONG)
    assert len(row["input_ids"]) == 32 and row["source_cut"] and not whole["source_cut"]
    assert row["input_ids"] == [*whole["input_ids"][:31], tool.tokenizer.eos_token_id]
    assert tool.tokenizer.decode(row["input_ids"], skip_special_tokens=True).startswith(
        "generate keyphrases: L"
    )
    assert row["labels"] == whole["labels"] and not row["target_cut"]


@pytest.mark.parametrize("recipe", DECODERS, ids=str)
def test_truncation_cuts_the_article_and_keeps_markers_and_target(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration(max_source_tokens=16)
    row, whole = encode(task, tool, LONG), encode(KeyphraseGeneration(), tool, LONG)
    start, middle, end = tool.tokenizer.convert_tokens_to_ids([START, MIDDLE, END])
    prompt, target = row["input_ids"][:16], row["input_ids"][16:]
    assert row["prompt_length"] == 16 and row["source_cut"] and not whole["source_cut"]
    assert prompt == [start, *plain_ids(tool, LONG)[:14], middle]
    assert target == whole["input_ids"][whole["prompt_length"] :] and target[-1] == end


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_a_source_that_just_fits_is_not_cut(tools, recipe):
    tool = tools(recipe)
    source = encode(KeyphraseGeneration(), tool, with_labels=False)["input_ids"]
    fitting = encode(KeyphraseGeneration(max_source_tokens=len(source)), tool, with_labels=False)
    assert fitting["input_ids"] == source and not fitting["source_cut"]
    shorter = KeyphraseGeneration(max_source_tokens=len(source) - 1)
    row = encode(shorter, tool, with_labels=False)
    assert len(row["input_ids"]) == len(source) - 1 and row["source_cut"]


def test_the_title_stands_before_the_text():
    task = KeyphraseGeneration(title_column="title")
    assert task.columns == ("text", "title")
    assert task.source({"title": "Forêt", "text": TEXT}) == f"Forêt\n{TEXT}"
    assert task.source({"title": None, "text": TEXT}) == TEXT
    assert KeyphraseGeneration().source({"title": "Forêt", "text": TEXT}) == TEXT


def test_a_title_is_encoded(tools):
    tool, task = tools(("t5", None)), KeyphraseGeneration(title_column="title", prefix="")
    batch = {"title": ["Noël"], "text": [TEXT]}
    encoded = task.encode(batch, tool.tokenizer, kind=tool.kind, with_labels=False)
    assert tool.tokenizer.decode(encoded["input_ids"][0], skip_special_tokens=True).split() == [
        "Noël",
        *TEXT.split(),
    ]


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", SEQ2SEQ, ids=str)
def test_labels_of_an_encoder_decoder_are_the_phrases_and_one_eos_at_the_end(tools, recipe):
    tool = tools(recipe)
    row, eos = encode(KeyphraseGeneration(), tool), tool.tokenizer.eos_token_id
    assert row["labels"][-1] == eos and row["labels"].count(eos) == 1
    assert -100 not in row["labels"] and row["length"] == len(row["input_ids"])


@pytest.mark.parametrize("recipe", DECODERS, ids=str)
def test_a_decoder_has_loss_on_the_target_alone(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    row = encode(task, tool)
    prompt = row["prompt_length"]
    assert row["labels"][:prompt] == [-100] * prompt
    assert row["labels"][prompt:] == row["input_ids"][prompt:]
    assert row["labels"][-1] == task.end_id(tool.tokenizer, "decoder")
    assert row["labels"].count(row["labels"][-1]) == 1
    assert row["length"] == len(row["labels"]) == len(row["input_ids"])


@pytest.mark.parametrize("recipe", DECODERS, ids=str)
def test_train_on_prompt_puts_loss_on_everything(tools, recipe):
    tool = tools(recipe)
    row = encode(KeyphraseGeneration(train_on_prompt=True), tool)
    assert row["labels"] == row["input_ids"]
    assert row["prompt_length"] == encode(KeyphraseGeneration(), tool)["prompt_length"]


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_an_overlong_target_loses_whole_phrases_at_its_end(tools, recipe):
    tool = tools(recipe)

    def target(task, phrases):
        row = encode(task, tool, phrases=phrases)
        return [i for i in row["labels"] if i != -100], row["target_cut"]

    two, was_cut = target(KeyphraseGeneration(), PHRASES[:2])
    assert not was_cut
    limited = KeyphraseGeneration(max_target_tokens=len(two))
    assert target(limited, PHRASES) == (two, True)
    assert target(limited, PHRASES[:2]) == (two, False)
    assert limited.decode([two], tool.tokenizer) == [PHRASES[:2]]


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_a_first_phrase_that_does_not_fit_is_cut_and_ended(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration(max_target_tokens=4)
    row = encode(task, tool, phrases=[LONG, "été"])
    labels = [i for i in row["labels"] if i != -100]
    assert len(labels) == 4 and row["target_cut"]
    assert labels[-1] == task.end_id(tool.tokenizer, tool.kind)


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_a_row_without_phrases_has_the_end_alone_as_target(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    row = encode(task, tool, phrases=[])
    labels = [i for i in row["labels"] if i != -100]
    end = task.end_id(tool.tokenizer, tool.kind)
    assert labels[-1] == end and labels.count(end) == 1 and not row["target_cut"]
    assert task.decode([labels], tool.tokenizer) == [[]]


def test_max_keyphrases_keeps_the_first():
    task = KeyphraseGeneration(max_keyphrases=2)
    assert task.phrases({"keyphrases": "a; b; c"}) == ["a", "b"]
    assert task.phrases({"keyphrases": ["a", "A", "b", "c"]}) == ["a", "b"]
    assert KeyphraseGeneration().phrases({"keyphrases": "a; b; c"}) == ["a", "b", "c"]


def test_lists_and_strings_give_the_same_phrases():
    task = KeyphraseGeneration(separator=" | ")
    for value in (["budget", "école"], "budget | école", "budget|école |", "['budget', 'école']"):
        assert task.phrases({"keyphrases": value}) == ["budget", "école"]


def test_only_decoders_get_new_tokens():
    task = KeyphraseGeneration()
    assert task.new_tokens("decoder") == (START, MIDDLE, END)
    assert task.new_tokens("encoder-decoder") == ()


def test_a_tokenizer_without_an_end_token_is_an_error(tiny):
    from transformers import AutoTokenizer

    published = AutoTokenizer.from_pretrained(tiny("polyglot"))
    with pytest.raises(InputError, match="no token that ends a target"):
        KeyphraseGeneration().end_id(published, "decoder")


# --- and back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
@pytest.mark.parametrize(
    "phrases",
    [
        ["l'été", "forêt brûlée", "où", "Noël", "cœur", "façade"],
        ["서울시", "기준금리 동결", "한국은행"],
        ["children's ward", "wasn't", "120 beds (2024)"],
        ["l'été 서울시"],
    ],
    ids=["French", "Korean", "English", "mixed"],
)
def test_decode_inverts_encode(tools, recipe, phrases):
    tool, task = tools(recipe), KeyphraseGeneration()
    labels = encode(task, tool, phrases=phrases)["labels"]
    written = [i for i in labels if i != -100]
    assert task.decode([written], tool.tokenizer) == [phrases]
    assert task.lines([written], tool.tokenizer) == ["; ".join(phrases)]
    assert task.decode([labels], tool.tokenizer) == [phrases], "masked positions hide phrases"


@pytest.mark.parametrize("separator", [" | ", ", ", " / ", ";"])
def test_decode_inverts_encode_with_other_separators(tools, separator):
    tool, task = tools(("t5", "byte-level")), KeyphraseGeneration(separator=separator)
    labels = encode(task, tool, phrases=PHRASES)["labels"]
    assert task.decode([labels], tool.tokenizer) == [PHRASES]


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_what_follows_the_end_is_dropped(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    end, eos = task.end_id(tool.tokenizer, tool.kind), tool.tokenizer.eos_token_id
    ids, rest = wrote(tool, "budget; école"), wrote(tool, "forêt")
    for last in {end, eos}:
        found = task.decode([[*ids, last, *rest], [*ids, last, last], [last]], tool.tokenizer)
        assert found == [["budget", "école"], ["budget", "école"], []]


@pytest.mark.parametrize("recipe", [*SEQ2SEQ, *DECODERS], ids=str)
def test_padding_and_masked_ids_are_no_part_of_a_line(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    ids, end = wrote(tool, "budget; école"), task.end_id(tool.tokenizer, tool.kind)
    pad = tool.tokenizer.pad_token_id
    rows = [[*ids, end, pad, pad], [*ids, end, -100, -100], [-100, -100, *ids, end], [-100, -100],
            [pad, pad, *ids, end], [*ids]]  # fmt: skip
    expected = ["budget", "école"]
    found = task.decode(rows, tool.tokenizer)
    assert found == [expected, expected, expected, [], expected, expected]


@pytest.mark.parametrize("recipe", DECODERS, ids=str)
def test_markers_are_no_part_of_a_line(tools, recipe):
    tool, task = tools(recipe), KeyphraseGeneration()
    start, middle, end = tool.tokenizer.convert_tokens_to_ids([START, MIDDLE, END])
    ids = wrote(tool, "budget; école")
    prompt = [start, *wrote(tool, TEXT), middle]
    rows = [[*prompt, *ids, end], [middle, *ids, end], [*ids, start, end]]
    assert task.decode(rows, tool.tokenizer) == [["budget", "école"]] * 3


def test_a_decoder_start_that_is_eos_is_not_the_end(tools):
    tool, task = tools(("bart", "byte-level")), KeyphraseGeneration()
    eos, bos = tool.tokenizer.eos_token_id, tool.tokenizer.bos_token_id
    ids = wrote(tool, "budget; école")
    assert task.decode([[eos, bos, *ids, eos, *ids]], tool.tokenizer) == [["budget", "école"]]


@pytest.mark.parametrize("recipe", [("t5", "byte-level"), ("polyglot", None)], ids=str)
@pytest.mark.parametrize("doubled", ["right", "left"])
def test_a_pad_token_that_is_eos_ends_and_hides_nothing(tools, recipe, doubled):
    built, task = tools(recipe), KeyphraseGeneration()
    tool = SimpleNamespace(tokenizer=copy.deepcopy(built.tokenizer), kind=built.kind)
    tool.tokenizer.pad_token = tool.tokenizer.eos_token
    pad = tool.tokenizer.pad_token_id
    assert pad == tool.tokenizer.eos_token_id
    target = [i for i in encode(task, tool)["labels"] if i != -100]
    for filler in ([pad] * 3, [-100] * 3):
        padded = [*target, *filler] if doubled == "right" else [*filler, *target]
        assert task.decode([padded], tool.tokenizer) == [PHRASES]
    row = encode(task, tool)
    assert [i for i in row["labels"] if i != -100] == target
    batch = task.collator(
        SimpleNamespace(
            config=SimpleNamespace(is_encoder_decoder=tool.kind != "decoder"),
            prepare_decoder_input_ids_from_labels=lambda labels: labels,
        ),
        tool.tokenizer,
    )([row, encode(task, tool, phrases=["x"])])
    assert [i for i in batch["labels"][0].tolist() if i != -100] == target


@pytest.mark.parametrize(
    "line",
    [
        "Keyphrases: budget; école",
        "key-phrases : budget; école;",
        "mots-clés : budget ; école",
        "1. budget; 2. école",
        "1. budget\n2. école\n",
        "- budget\n- école",
        "; budget;; école ; ;",
        "budget; école; Budget; ÉCOLE",
        '« budget »; "école"',
    ],
)
def test_leftovers_around_phrases_are_removed(line):
    assert KeyphraseGeneration().parse(line) == ["budget", "école"]


def test_leftovers_are_removed_from_generated_ids(tools):
    tool, task = tools(("t5", "byte-level")), KeyphraseGeneration()
    ids = wrote(tool, "Keyphrases: 1. budget; 2. école; ;")
    assert task.decode([ids], tool.tokenizer) == [["budget", "école"]]


@pytest.mark.parametrize("line", ["", " ", ";", "Keyphrases:", "- ; ."])
def test_a_line_of_leftovers_alone_has_no_phrases(line):
    assert KeyphraseGeneration().parse(line) == []


# --- the real Korean tokenizer -------------------------------------------------------------------


def test_the_real_korean_tokenizer_encodes_with_the_markers_that_it_has(korean):
    task = KeyphraseGeneration(max_source_tokens=16)
    text = "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다. " * 4
    batch = {"text": [text], "keyphrases": [["예산안 확정", "서울시"]]}
    row = {k: v[0] for k, v in task.encode(batch, korean.built, kind="decoder").items()}
    article = korean.published(text.strip())["input_ids"]
    target = korean.published("예산안 확정; 서울시")["input_ids"]
    assert row["input_ids"] == [30003, *article[:14], 30004, *target, 30005]
    assert row["labels"] == [-100] * 16 + [*target, 30005]
    assert row["source_cut"] and not row["target_cut"]


@pytest.mark.parametrize("which", ["built", "published"])
def test_the_real_korean_tokenizer_gives_the_phrases_back(korean, which):
    task, tokenizer = KeyphraseGeneration(), getattr(korean, which)
    phrases = ["예산안 확정", "서울시", "SK하이닉스 3분기 실적", "4·3 사건", "l'été"]
    batch = {"text": ["기사"], "keyphrases": [phrases]}
    labels = task.encode(batch, tokenizer, kind="decoder")["labels"][0]
    target = [i for i in labels if i != -100]
    pad = tokenizer.pad_token_id
    rows = [labels, target, [*target, pad, pad], [pad, pad, *target], [*target[:-1], 2, *target]]
    assert task.decode(rows, tokenizer) == [phrases] * 5
    assert (pad == tokenizer.eos_token_id) is (which == "published")


def test_real_generations_are_parsed_into_their_phrases(shared, korean):
    path = shared / "data" / "ko_pko_v3_run3" / "generations.jsonl"
    task = KeyphraseGeneration(max_target_tokens=512)
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(next(file)) for _ in range(50)]
    expected = [task.phrases({"keyphrases": row["reference"]}) for row in rows]
    assert all(expected) and max(map(len, expected)) > 3
    batch = {"text": ["기사"] * len(rows), "keyphrases": expected}
    labels = task.encode(batch, korean.built, kind="decoder")["labels"]
    assert task.decode(labels, korean.built) == expected


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_source_tokens": 7}, "max_source_tokens=7: a whole number of at least 8"),
        ({"max_source_tokens": 8.5}, "max_source_tokens=8.5: at least 1"),
        ({"max_source_tokens": True}, "max_source_tokens=True: at least 1"),
        ({"max_target_tokens": 3}, "max_target_tokens=3: a whole number of at least 4"),
        ({"k": 0}, "k=0: at least 1, a whole number"),
        ({"separator": ""}, "separator='': text with at least one visible character"),
        ({"separator": "  "}, "separator='  ': text with at least one visible"),
        ({"separator": None}, "separator=None: text"),
        ({"max_keyphrases": 0}, "max_keyphrases=0: at least 1"),
        ({"language": "de"}, "language='de': ko, fr or en"),
    ],
)
def test_a_field_that_cannot_be_is_an_error(fields, message):
    with pytest.raises(InputError) as error:
        KeyphraseGeneration(**fields)
    assert message in str(error.value) and "\n" not in str(error.value)


def rows_with(**columns):
    return Dataset.from_dict({"text": [TEXT] * 3, "keyphrases": ["a; b", "c; d", "e"], **columns})


def test_sound_rows_pass_the_check():
    for rows in (rows_with(), rows_with(keyphrases=[["a"], ["b"], ["c"]])):
        assert KeyphraseGeneration().check(rows, "train.csv") is None


@pytest.mark.parametrize(
    ("task", "dataset", "message"),
    [
        (
            KeyphraseGeneration(text_column="body"),
            rows_with(),
            "train.csv: has no column body; it has text, keyphrases.",
        ),
        (
            KeyphraseGeneration(title_column="titel"),
            rows_with(title=["t"] * 3),
            "has no column titel; it has text, keyphrases, title. Did you mean title?",
        ),
        (
            KeyphraseGeneration(keyphrases_column="keyphrase"),
            rows_with(),
            "has no column keyphrase; it has text, keyphrases. Did you mean keyphrases?",
        ),
        (
            KeyphraseGeneration(),
            rows_with(text=["a", " \n", ""]),
            "train.csv, row 2: column text is blank, in 2 of 3 rows.",
        ),
        (
            KeyphraseGeneration(),
            rows_with(text=["", " ", None]),
            "train.csv: column text is blank in all 3 rows.",
        ),
        (
            KeyphraseGeneration(),
            rows_with(keyphrases=["a; b", "c", " ; "]),
            "train.csv, row 3: column keyphrases holds no keyphrase, in 1 of 3 rows.",
        ),
        (
            KeyphraseGeneration(),
            rows_with(keyphrases=[["a"], [], None]),
            "train.csv, row 2: column keyphrases holds no keyphrase, in 2 of 3 rows.",
        ),
        (
            KeyphraseGeneration(),
            rows_with(keyphrases=["a, b", "c, d", "e"]),
            "column keyphrases: the separator '; ' is in none of 3 rows; ', ' is in 2",
        ),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_named(task, dataset, message):
    with pytest.raises(InputError) as error:
        task.check(dataset, "train.csv")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_task_learns_nothing_from_the_rows():
    task = KeyphraseGeneration()
    assert task.fit(DatasetDict(train=rows_with())) is task


def test_the_corpus_holds_sources_with_their_prefix_and_targets():
    texts = list(KeyphraseGeneration(title_column="title").corpus(rows_with(title=["T"] * 3)))
    assert texts[:2] == [f"generate keyphrases: T\n{TEXT}", "a; b"] and len(texts) == 6


# --- scores --------------------------------------------------------------------------------------


def test_every_score_has_a_direction_and_every_direction_a_score():
    task = KeyphraseGeneration(k=5)
    scores = task.compute_metrics([["a"], ["b"]], [["a"], ["c"]], texts=["a b", "c"])
    directions = task.metric_directions()
    assert set(scores) == set(directions) - set(task.health_scores)
    assert set(task.health_scores) < set(directions)
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in scores.values())
    assert directions["f1_at_5"] and directions["rougeL"] and directions["eos_rate"]
    assert not directions["duplicate_rate"] and not directions["empty_rate"]


@pytest.mark.parametrize("k", [5, 10])
def test_every_headline_score_is_reported_and_signed(k):
    task = KeyphraseGeneration(k=k, language="fr")
    scores = task.compute_metrics([["a"]], [["a"]], texts=["a"])
    signatures = task.signatures([["a"]])
    assert set(task.headline) <= set(scores) and set(task.headline) <= set(signatures)
    assert set(signatures) == set(scores)
    for name in task.headline:
        assert signatures[name].split("|")[0] == name.removeprefix("partial_")
    assert f"f1_at_{k}" in task.headline
    assert "match:partial" in signatures[f"partial_f1_at_{k}"]


def test_perfect_and_disjoint_phrases_score_one_and_zero():
    task, references = KeyphraseGeneration(), [["budget", "école"], ["forêt"]]
    texts = ["budget école", "forêt"]
    perfect = task.compute_metrics(references, references, texts=texts)
    assert perfect["f1_at_m"] == perfect["rougeL"] == perfect["present_f1_at_10"] == 1.0
    wrong = task.compute_metrics([["maire"], ["lits"]], references, texts=texts)
    assert wrong["f1_at_10"] == wrong["partial_f1_at_10"] == wrong["rougeL"] == 0.0


@pytest.mark.parametrize(
    ("language", "references", "tokenizer"),
    [
        ("ko", [["budget"]], "kiwi"),
        ("fr", [["예산안"]], "words"),
        ("en", [["budget"]], "words"),
        (None, [["예산안", "서울시"]], "kiwi"),
        (None, [["forêt brûlée"]], "words"),
    ],
)
def test_rouge_reads_words_by_language_or_by_the_references_script(language, references, tokenizer):
    pytest.importorskip("kiwipiepy")
    signature = KeyphraseGeneration(language=language).signatures(references)["rougeL"]
    assert f"tok:{tokenizer}" in signature


def test_the_script_is_looked_up_in_the_joined_phrases():
    assert default_tokenizer(["예산안; 서울시"]) != default_tokenizer(["forêt; école"])


def test_references_come_from_the_column_or_else_from_the_labels(tools):
    tool, task = tools(("polyglot", None)), KeyphraseGeneration()
    labels = [encode(task, tool)["labels"]]
    encoded = Dataset.from_dict({"labels": labels})
    assert task.references(encoded, tool.tokenizer) == [PHRASES]
    given = Dataset.from_dict({"labels": labels, "keyphrases": ["a; b"]})
    assert task.references(given, tool.tokenizer) == [["a", "b"]]


def test_outputs_are_scored_with_their_health(tools):
    tool, task = tools(("polyglot", None)), KeyphraseGeneration(max_target_tokens=32)
    end = task.end_id(tool.tokenizer, "decoder")
    written = [[*wrote(tool, "budget; budget"), end], wrote(tool, "forêt; " * 30)[:32], [end]]
    outputs = [Generated(ids, ids[-1] == end) for ids in written]
    rows = Dataset.from_dict(
        {"text": ["budget", "forêt", "x"], "keyphrases": [["budget"], ["forêt"], ["école"]]}
    )
    scores = task.score_outputs(outputs, rows, tool.tokenizer)
    assert set(scores) == set(task.metric_directions())
    assert scores["eos_rate"] == pytest.approx(2 / 3)
    assert scores["cut_by_limit_rate"] == scores["empty_rate"] == pytest.approx(1 / 3)
    assert scores["repeated_phrase_rate"] > 0.5
    answers = task.answers(outputs, rows, tool.tokenizer)
    assert answers[0] == {"keyphrases": ["budget"]} and answers[2] == {"keyphrases": []}


def test_intervals_hold_the_headline_scores(tools):
    tool, task = tools(("polyglot", None)), KeyphraseGeneration(language="fr")
    outputs = [Generated(wrote(tool, line), True) for line in ("budget", "école", "lits", "maire")]
    rows = Dataset.from_dict(
        {
            "text": ["budget", "école", "x", "y"],
            "keyphrases": [["budget"], ["école"], ["forêt"], ["théâtre"]],
        }
    )
    scores = task.score_outputs(outputs, rows, tool.tokenizer)
    intervals = task.intervals(outputs, rows, tool.tokenizer)
    assert scores["f1_at_10"] == 0.5
    assert "f1_at_10" in intervals and set(intervals) <= set(task.headline)
    for name, (low, high) in intervals.items():
        assert low <= scores[name] <= high
    assert intervals["f1_at_10"][0] < 0.5 < intervals["f1_at_10"][1]


def test_baselines_read_titles_where_there_are_some():
    rows = Dataset.from_dict({"text": [TEXT] * 2, "title": ["Budget", "École"]})
    titled = KeyphraseGeneration(title_column="title", language="fr").baselines(rows, rows)
    plain = KeyphraseGeneration(language="fr").baselines(None, rows)
    assert set(titled) - set(plain)
    assert all(len(lists) == 2 for lists in (*titled.values(), *plain.values()))


@pytest.mark.parametrize("recipe", [("t5", None), ("polyglot", None)])
def test_a_text_that_spells_special_tokens_gets_none(recipe, tools):
    tool = tools(recipe)
    task = KeyphraseGeneration()
    injected = f"{TEXT} {MIDDLE} {tool.tokenizer.eos_token} {END} {TEXT}"
    plain = encode(task, tool, text=f"{TEXT}      {TEXT}")["input_ids"]
    found = encode(task, tool, text=injected)["input_ids"]
    special = set(tool.tokenizer.all_special_ids)
    assert [i for i in found if i in special] == [i for i in plain if i in special]


def test_a_prefix_that_leaves_no_room_is_refused(tools):
    with pytest.raises(InputError, match="leaves no room"):
        encode(KeyphraseGeneration(max_source_tokens=9), tools(("t5", None)))


# --- what is searched, and how scores are chosen --------------------------------------------------


@pytest.mark.parametrize("title_column", ["title", None])
def test_a_title_that_is_read_counts_as_text(title_column):
    rows = Dataset.from_dict({
        "title": ["Gyroscope", "Barometer", None],
        "text": ["We measure a field.", "We measure pressure.", "We measure light."],
        "keyphrases": [["gyroscope"], ["barometer"], ["photodiode"]],
    })  # fmt: skip
    task = KeyphraseGeneration(title_column=title_column, language="en")
    references = task.references(rows, None)
    found = baseline_metrics(task, None, rows, references)
    here, away = (found[f"test_baseline_title_copy_{part}_f1_at_10"] for part in PARTS)
    assert (here, away) == (pytest.approx(2 / 3), 0.0)[:: 1 if title_column else -1]
    outputs = [Generated([0], True)] * 3
    with patch.object(KeyphraseGeneration, "lines", lambda *_: ["gyroscope", "wind", "photodiode"]):
        scores = task.score_outputs(outputs, rows, None)
        low, high = task.intervals(outputs, rows, None)["present_f1_at_10"]
    assert low <= scores["present_f1_at_10"] <= high
    assert scores["present_f1_at_10"] == pytest.approx(1 / 3 if title_column else 0)
    signatures = task.signatures(references)
    searched = "title+text" if title_column else "text"
    for part in PARTS:
        assert f"|searched:{searched}|" in signatures[f"{part}_f1_at_10"]
    assert "searched" not in signatures["f1_at_10"]


def test_prepare_and_audit_count_the_title_that_is_read():
    rows = {"title": ["Gyroscope"], "text": ["We measure."], "keyphrases": [["gyroscope"]]}
    splits = {"train": Dataset.from_dict(rows)}
    assert audit(splits)["splits"]["train"]["present_share"] == 0.0
    read = audit(splits, title_column="title")
    assert read["splits"]["train"]["present_share"] == 1.0


def test_phrases_as_written_keep_their_repeats_and_are_signed():
    rows = Dataset.from_dict({"text": ["x"], "keyphrases": ["solar cell; Wind; Wind"]})
    outputs, line = [Generated([0], True)], "wind power; solar; solar;"
    with patch.object(KeyphraseGeneration, "lines", lambda *_: [line]):
        cleaned, written = (
            KeyphraseGeneration(as_written=kept, rouge_tokenizer="whitespace")
            for kept in (False, True)
        )
        one, two = (task.score_outputs(outputs, rows, None) for task in (cleaned, written))
        found = written.intervals(outputs, rows, None)["partial_f1_at_10"]
    assert found == pytest.approx((4 / 7, 4 / 7))
    assert one["partial_f1_at_10"] == pytest.approx(2 / 4)  # hits: solar; wrong: wind; missed: Wind
    assert two["partial_f1_at_10"] == pytest.approx(4 / 7)  # solar twice; Wind missed twice
    assert one["f1_at_10"] == two["f1_at_10"]
    for name, text in written.signatures([["a"]]).items():
        assert ("phrases:written" in text) == name.startswith(("partial", "rouge"))
    assert "tok:whitespace" in written.signatures([["a"]])["rougeL"]


def test_a_tokenizer_that_is_missing_is_told_before_any_work(monkeypatch):
    def nothing(package):
        raise PackageNotFoundError(package)

    task = KeyphraseGeneration(rouge_tokenizer="komoran")
    monkeypatch.setattr("frtune.metrics.morphemes.version", nothing)
    with pytest.raises(ImportError, match=r"pip install 'frtune\[komoran\]'"):
        read_data(task, RunSettings(data="/does/not/exist"), None)
    with pytest.raises(InputError, match="rouge_tokenizer='kiwi'"):
        KeyphraseGeneration(rouge_tokenizer="kiwi")
    assert task.scored_as(rouge_tokenizer="ko", as_written=None).rouge_tokenizer == "ko"
    assert task.scored_as(as_written=True).rouge_tokenizer == "komoran"
    with pytest.raises(InputError, match="as_written=True: the scores of classification"):
        SequenceClassification().scored_as(as_written=True)
