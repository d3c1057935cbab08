import hashlib
import json

import pytest

from conftest import CORPUS, FAMILY_NAMES, FRENCH, TOKENIZERS
from frtune import tiny_checkpoint
from frtune.errors import InputError
from frtune.models import tiny_tokenizers
from frtune.models.families import FAMILIES

MODELS = {"unigram": "Unigram", "wordpiece": "WordPiece", "bpe": "BPE", "level": "BPE"}
BYTE_LEVEL = (
    tiny_tokenizers.t5_byte_level, tiny_tokenizers.roberta_bpe, tiny_tokenizers.polyglot_bpe,
    tiny_tokenizers.gpt2_bpe, tiny_tokenizers.codegen_bpe,
)  # fmt: skip
WITH_FILE = [made for made in TOKENIZERS if FAMILIES[made[0]].extra is None]


def digest(directory, *, names=None):
    found = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if names is None or path.name in names:
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize(("family", "tokenizer"), TOKENIZERS)
def test_a_checkpoint_is_an_ordinary_directory(tiny, family, tokenizer):
    from transformers import AutoConfig

    directory = tiny(family, tokenizer)
    names = {path.name for path in directory.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer_config.json"} <= names
    assert not [name for name in names if name.startswith(".") or name.endswith(".bin")]
    assert AutoConfig.from_pretrained(directory).vocab_size > 100


@pytest.mark.parametrize(("family", "tokenizer"), WITH_FILE)
def test_the_tokenizer_is_of_the_kind_that_its_recipe_names(tiny, family, tokenizer):
    recipe = FAMILIES[family].tiny.tokenizers[tokenizer]
    content = json.loads((tiny(family, tokenizer) / "tokenizer.json").read_text("utf-8"))
    assert content["model"]["type"] == MODELS[recipe.__name__.split("_")[-1]]
    byte_level = "ByteLevel" in json.dumps(content["pre_tokenizer"])
    assert byte_level == (recipe in BYTE_LEVEL)
    assert content["model"].get("byte_fallback", False) == (recipe is tiny_tokenizers.llama_bpe)


def test_flauberts_tokenizer_is_xlms(tiny):
    directory = tiny("flaubert")
    vocab = json.loads((directory / "vocab.json").read_text("utf-8"))
    assert not (directory / "tokenizer.json").exists()
    assert [vocab[token] for token in ("<s>", "</s>", "<pad>", "<unk>")] == [0, 1, 2, 3]
    assert any(piece.endswith("</w>") and len(piece) > 6 for piece in vocab)


def test_special_ids_are_the_published_ones(tiny):
    def ids(family, tokens, tokenizer=None):
        content = json.loads((tiny(family, tokenizer) / "tokenizer.json").read_text("utf-8"))
        vocab = content["model"]["vocab"]
        if isinstance(vocab, list):
            vocab = {token: i for i, (token, _) in enumerate(vocab)}
        return [vocab[token] for token in tokens], len(vocab)

    assert ids("camembert", ["<pad>", "<unk>", "<s>", "</s>"])[0] == [1, 3, 5, 6]
    (mask,), size = ids("camembert", ["<mask>"])
    assert mask == size - 1
    assert ids("t5", ["<pad>", "</s>", "<unk>"])[0] == [0, 1, 2]
    (last,), size = ids("t5", ["<extra_id_0>"])
    assert last == size - 1
    assert ids("bart", ["<s>", "</s>", "<pad>", "<unk>"])[0] == [0, 1, 3, 5]
    assert ids("llama", ["<unk>", "<s>", "</s>", "<0x00>"])[0] == [0, 1, 2, 3]
    assert ids("polyglot", ["<|endoftext|>"])[0] == [2]


def test_t5_has_an_output_layer_of_its_own(tiny):
    from safetensors.torch import load_file

    weights = load_file(tiny("t5") / "model.safetensors")
    assert not weights["lm_head.weight"].equal(weights["shared.weight"])
    config = json.loads((tiny("t5") / "config.json").read_text("utf-8"))
    assert config["tie_word_embeddings"] is False
    assert config["feed_forward_proj"] == "gated-gelu"


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_same_texts_and_seed_give_the_same_bytes(tiny, tmp_path, family):
    again = tiny_checkpoint(family, CORPUS, tmp_path / "again")
    assert digest(again) == digest(tiny(family))


def test_another_seed_changes_the_weights_alone(tiny, tmp_path):
    other = tiny_checkpoint("llama", CORPUS, tmp_path / "other", seed=1)
    tokenizer = {"tokenizer.json", "tokenizer_config.json"}
    assert digest(other, names=tokenizer) == digest(tiny("llama"), names=tokenizer)
    assert digest(other) != digest(tiny("llama"))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_one_sentence_is_enough(tmp_path, family):
    assert (tiny_checkpoint(family, FRENCH[:1], tmp_path / "one") / "config.json").is_file()


def test_the_vocabulary_stays_below_its_limit(tmp_path):
    texts = [f"{sentence} {i * 7919}" for i in range(40) for sentence in CORPUS]
    for family, tokenizer in TOKENIZERS:
        directory = tiny_checkpoint(
            family, texts, tmp_path / f"{family}{tokenizer}", tokenizer=tokenizer, vocab_size=600
        )
        config = json.loads((directory / "config.json").read_text("utf-8"))
        assert config["vocab_size"] <= 600 + 16, family


def test_a_full_directory_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"directory=.*: a new or empty directory"):
        tiny_checkpoint("bert", CORPUS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "robert"}, r"family='robert'.*Did you mean roberta"),
        ({"family": "bert", "tokenizer": "byte-level"}, r"tokenizer='byte-level': None for bert"),
        ({"family": "bert", "corpus": ["", "  "]}, "corpus: at least one text"),
        ({"family": "bert", "vocab_size": 10}, "vocab_size=10: at least 500"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        tiny_checkpoint(**{"corpus": CORPUS, "directory": tmp_path / "x", **arguments})
    assert not list(tmp_path.iterdir())
