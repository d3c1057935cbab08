import json
import shutil

import pytest
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from conftest import CORPUS, FAMILY_NAMES, FRENCH, KOREAN, TOKENIZERS
from frtune import InputError, build_bart, build_llama, build_model, build_polyglot, build_t5
from frtune.models.checkpoint_files import read_config
from frtune.models.families import FAMILIES
from frtune.models.tokenizer import PAD_TOKEN, load_tokenizer
from frtune.models.tokenizer_files import PROBES
from frtune.models.tokenizer_verification import prove_tokenizer
from kinds import DECODERS
from tasks import MARKERS, Generate, task_for

WITH_FILE = [made for made in TOKENIZERS if FAMILIES[made[0]].extra is None]
WITH_FILE_FAMILIES = list(dict.fromkeys(family for family, _ in WITH_FILE))


def load(family, directory):
    return build_model(task_for(family), checkpoint=directory)[1]


@pytest.mark.parametrize(("family", "tokenizer"), WITH_FILE)
def test_ids_are_those_of_the_checkpoints_own_file(tiny, family, tokenizer):
    loaded = load(family, tiny(family, tokenizer))
    reference = Tokenizer.from_file(str(tiny(family, tokenizer) / "tokenizer.json"))
    for text in [*PROBES, *CORPUS]:
        assert loaded(text)["input_ids"] == reference.encode(text).ids


def test_a_byte_level_tokenizer_under_t5s_class_loads(tiny):
    with pytest.raises(TypeError):  # or the trap is gone, and so may its remedy be
        AutoTokenizer.from_pretrained(tiny("t5", "byte-level"))
    _, tokenizer = build_t5(Generate(), checkpoint=tiny("t5", "byte-level"))
    for text in [*FRENCH, *KOREAN]:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)


def test_kobarts_tokenizer_is_not_rebuilt_as_another(tiny):
    wrong = AutoTokenizer.from_pretrained(tiny("bart"))
    _, tokenizer = build_bart(Generate(), checkpoint=tiny("bart"))
    assert wrong(KOREAN[0])["input_ids"] != tokenizer(KOREAN[0])["input_ids"]
    ids = tokenizer(KOREAN[0])["input_ids"]
    assert tokenizer.decode(ids) == KOREAN[0]


@pytest.mark.parametrize(("family", "tokenizer"), TOKENIZERS)
def test_a_saved_tokenizer_loads_with_the_same_ids(tiny, tmp_path, family, tokenizer):
    shutil.copytree(tiny(family, tokenizer), tmp_path / "again")
    first = load(family, tiny(family, tokenizer))
    first.save_pretrained(tmp_path / "again")
    second = load(family, tmp_path / "again")
    for text in [*PROBES, *MARKERS, " ".join(MARKERS)]:
        assert first(text)["input_ids"] == second(text)["input_ids"]
    assert second.pad_token_id == first.pad_token_id
    assert len(second) == len(first)


@pytest.mark.parametrize(
    ("family", "tokenizer", "appends"),
    [
        ("t5", None, True),
        ("t5", "byte-level", False),
        ("bart", None, False),
        ("bart", "byte-level", True),
    ],
)
def test_the_proof_says_whether_eos_is_appended(tiny, family, tokenizer, appends):
    report = prove_tokenizer(load(family, tiny(family, tokenizer)), kind="encoder-decoder")
    assert report.appends_eos is appends


# --- a SentencePiece model alone -----------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """``pieces("spiece.model")``: T5's or CamemBERT's kind of model, of the corpus."""
    folder = tmp_path_factory.mktemp("pieces")

    def make(name):
        if not (folder / name).is_file():
            SentencePieceTrainer.train(
                sentence_iterator=iter(CORPUS), model_prefix=str(folder / "made"), vocab_size=300,
                model_type="unigram", character_coverage=1.0, hard_vocab_limit=False,
                minloglevel=2, **(T5_PIECES if name == "spiece.model" else {}),
            )  # fmt: skip
            (folder / "made.model").rename(folder / name)
        return folder / name

    return make


T5_PIECES = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}


@pytest.mark.parametrize(
    ("family", "name", "shift"),
    [("t5", "spiece.model", 0), ("camembert", "sentencepiece.bpe.model", 4)],
)
def test_a_sentencepiece_model_alone_is_enough(tiny, pieces, tmp_path, family, name, shift):
    for file in ("config.json", "tokenizer_config.json"):
        shutil.copy(tiny(family) / file, tmp_path)
    shutil.copy(pieces(name), tmp_path)
    tokenizer = load_tokenizer(tmp_path, FAMILIES[family], read_config(tmp_path))
    kind = FAMILIES[family].kind
    assert prove_tokenizer(tokenizer, checkpoint=tmp_path, kind=kind).equals_file
    reference = SentencePieceProcessor(model_file=str(pieces(name)))
    for text in CORPUS:
        expected = [i + shift for i in reference.encode(text)]
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == expected


def test_a_tokenizer_with_a_piece_at_another_id_is_an_error(tiny, pieces, tmp_path):
    for file in ("config.json", "tokenizer_config.json"):
        shutil.copy(tiny("t5") / file, tmp_path)
    shutil.copy(pieces("spiece.model"), tmp_path)
    tokenizer = load_tokenizer(tmp_path, FAMILIES["t5"], read_config(tmp_path))
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    vocab = state["model"]["vocab"]
    vocab[5], vocab[6] = vocab[6], vocab[5]
    tokenizer.backend_tokenizer.__setstate__(json.dumps(state).encode())
    with pytest.raises(InputError, match=r"other ids than its own spiece\.model"):
        prove_tokenizer(tokenizer, checkpoint=tmp_path, kind="encoder-decoder")


@pytest.mark.parametrize("family", WITH_FILE_FAMILIES)
def test_a_tokenizer_without_its_files_is_refused(tiny, tmp_path, family):
    for file in ("config.json", "tokenizer_config.json"):
        shutil.copy(tiny(family) / file, tmp_path)
    with pytest.raises(InputError, match=r"Copy (tokenizer\.json|the tokenizer's files)"):
        load_tokenizer(tmp_path, FAMILIES[family], read_config(tmp_path))


# --- new tokens and padding ----------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_markers_are_whole_and_skipped_when_decoding(tiny, family):
    tokenizer = load(family, tiny(family))
    ids = tokenizer.convert_tokens_to_ids(list(MARKERS))
    text = f"{MARKERS[0]} {FRENCH[0]} {MARKERS[1]}budget; école{MARKERS[2]}"
    found = tokenizer(text)["input_ids"]
    assert [i for i in found if i in ids] == ids
    shown = tokenizer.decode(found, skip_special_tokens=True)
    assert not any(marker in shown for marker in MARKERS)
    assert "budget; école" in shown


@pytest.mark.parametrize("family", DECODERS)
def test_decoders_pad_with_a_token_of_its_own(tiny, family):
    published = AutoTokenizer.from_pretrained(tiny(family))
    assert published.pad_token in (None, published.eos_token)
    tokenizer = load(family, tiny(family))
    unused = published.unk_token not in (None, published.eos_token)  # bytes stand in for it
    assert tokenizer.pad_token == (published.unk_token if unused else PAD_TOKEN)
    assert tokenizer.eos_token_id == published.eos_token_id


def test_llamas_padding_occurs_in_no_text(tiny):
    _, tokenizer = build_llama(Generate(), checkpoint=tiny("llama"))
    for text in ("漢字 🎉 ﷽", *CORPUS):
        assert tokenizer.pad_token_id not in tokenizer(text)["input_ids"]


def test_a_padding_token_of_the_checkpoints_own_is_kept(tiny, tmp_path):
    shutil.copytree(tiny("polyglot"), tmp_path / "own")
    path = tmp_path / "own" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"pad_token": "<|sep|>"}))
    _, tokenizer = build_polyglot(Generate(), checkpoint=tmp_path / "own")
    assert tokenizer.pad_token == "<|sep|>" and PAD_TOKEN not in tokenizer.get_vocab()


def test_special_tokens_that_only_the_config_knows_are_named(tiny, tmp_path):
    shutil.copytree(tiny("bart"), tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer_config.json").write_text("{}")
    _, tokenizer = build_bart(Generate(), checkpoint=tmp_path / "bare")
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "</s>")


@pytest.fixture(scope="module")
def korean_polyglot(shared, tmp_path_factory):
    """A small GPT-NeoX of Polyglot-Ko's vocabulary size under its real tokenizer."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    directory = tmp_path_factory.mktemp("korean") / "polyglot"
    shutil.copytree(shared / "data" / "ko_polyglot_tokenizer", directory)
    directory.chmod(0o755)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GPTNeoXConfig(
        vocab_size=30080, intermediate_size=16, bos_token_id=2, eos_token_id=2,
        tie_word_embeddings=False, **shape,
    )  # fmt: skip
    GPTNeoXForCausalLM(config).save_pretrained(directory)
    return directory


def test_the_real_korean_tokenizer_keeps_the_tokens_that_it_has(korean_polyglot):
    published = PreTrainedTokenizerFast.from_pretrained(korean_polyglot)
    model, tokenizer = build_polyglot(Generate(), checkpoint=korean_polyglot)
    assert tokenizer.convert_tokens_to_ids(list(MARKERS)) == [30003, 30004, 30005]
    assert set(tokenizer.get_vocab()) - set(published.get_vocab()) == {PAD_TOKEN}
    assert model.config.vocab_size == 30080
    text = f"{MARKERS[0]}{KOREAN[0]}{MARKERS[1]}예산; 서울시{MARKERS[2]}"
    ids = tokenizer(text)["input_ids"]
    assert ids == published(text)["input_ids"]
    assert [ids.count(i) for i in (30003, 30004, 30005)] == [1, 1, 1]
    assert tokenizer.decode(ids) == text


def test_the_real_korean_tokenizers_tokens_are_trained_under_lora(korean_polyglot):
    from frtune import lora_config

    model, _ = build_polyglot(Generate(), checkpoint=korean_polyglot, lora=lora_config())
    trained = model.peft_config["default"].trainable_token_indices
    assert trained == {"gpt_neox.embed_in": [30003, 30004, 30005], "lm_head": [30003, 30004, 30005]}


# --- the proof -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_sound_tokenizer_passes(tiny, family):
    report = prove_tokenizer(load(family, tiny(family)), checkpoint=None, texts=CORPUS)
    assert report.unknown_rate < 0.05


def test_a_rebuilt_tokenizer_is_an_error(tiny):
    wrong = AutoTokenizer.from_pretrained(tiny("bart"))
    with pytest.raises(InputError, match=r"other ids than its own tokenizer\.json"):
        prove_tokenizer(wrong, checkpoint=tiny("bart"), kind="encoder-decoder")


def test_the_proof_runs_when_a_model_is_built(tiny, monkeypatch):
    from frtune.models import tokenizer as _tokenizer

    monkeypatch.setattr(_tokenizer, "differing_probe", lambda *_: None)  # take what Auto gives
    with pytest.raises(InputError, match="other ids"):
        build_bart(Generate(), checkpoint=tiny("bart"))
    build_bart(Generate(), checkpoint=tiny("bart"), proof=False)


def test_a_generating_model_without_eos_is_an_error(tiny):
    tokenizer = load("gptj", tiny("gptj"))
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="has no EOS token"):
        prove_tokenizer(tokenizer, kind="decoder")


def test_a_french_tokenizer_is_warned_about_hangul_only(tmp_path, caplog):
    from frtune import tiny_checkpoint

    texts = [*FRENCH, "été forêt façade où Noël cœur âgé maïs"]
    tokenizer = load("camembert", tiny_checkpoint("camembert", texts, tmp_path / "fr"))
    assert "does not know all letters of: Korean" in caplog.text
    assert prove_tokenizer(tokenizer).lost_scripts == ("Korean",)


def test_texts_in_an_unknown_script_are_an_error(tmp_path):
    from frtune import tiny_checkpoint

    tokenizer = load("bert", tiny_checkpoint("bert", FRENCH, tmp_path / "fr"))
    with pytest.raises(InputError, match="Choose a checkpoint for the texts' language"):
        prove_tokenizer(tokenizer, texts=KOREAN)


def test_lower_casing_and_compatibility_forms_are_no_loss():
    from tokenizers import models, normalizers, pre_tokenizers

    letters = {
        char: i + 1
        for i, char in enumerate(
            sorted(set("été forêt façade où noël cœur서울시는예산안을확정했다"))
        )
    }
    backend = Tokenizer(
        models.WordPiece({"[UNK]": 0, **letters, **{f"##{c}": i + 100 for c, i in letters.items()}})
    )
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    from tokenizers import decoders

    backend.decoder = decoders.WordPiece()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    assert prove_tokenizer(tokenizer).lost_scripts == ()


def test_tokenizers_pad_on_the_side_of_their_kind(tiny):
    for family in FAMILY_NAMES:
        side = "left" if family in DECODERS else "right"
        assert load(family, tiny(family)).padding_side == side
