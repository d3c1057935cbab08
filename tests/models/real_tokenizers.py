"""Real tokenizer files as checkpoints, in the layouts in which their families are published."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer
from tokenizers.models import BPE

from frtune.models.families import FAMILIES

Encode = Callable[[str], list[int]]

_ENCODER = {"hidden_size": 16, "intermediate_size": 16, "max_position_embeddings": 514}
_LAYER = {"num_hidden_layers": 1, "num_attention_heads": 2}
_BART = {
    **dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    "pad_token_id": 3, "bos_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 1,
    "forced_eos_token_id": 1, "vocab_size": 30000,
}  # fmt: skip
_CAMEMBERT = {
    **_ENCODER, **_LAYER, "vocab_size": 32005, "type_vocab_size": 1,
    "pad_token_id": 1, "bos_token_id": 5, "eos_token_id": 6,
}  # fmt: skip
_FLAUBERT = {"vocab_size": 67542, "emb_dim": 16, "n_layers": 1, "n_heads": 2, "n_langs": 1}
_TEXT_ENDS = {"bos_token_id": 50256, "eos_token_id": 50256}
_DECODER = {"hidden_size": 16, "intermediate_size": 16, **_LAYER, "tie_word_embeddings": False}
_LLAMA = {**_DECODER, "vocab_size": 32000, "bos_token_id": 1, "eos_token_id": 2}


@dataclass(frozen=True)
class Layout:
    """Files of ``data/tokenizers``, and what stands beside them in a checkpoint.

    Attributes:
        family: The family.
        folder: Folder of the tokenizer's files.
        files: Files to copy, and their names in the checkpoint.
        settings: The config, small but for the vocabulary.
        reference: The file that says what the ids are, or ``moses``.
        tokenizer_config: What is written where the folder has none, such as the class's name.
        shift: Ids of the checkpoint less those of its SentencePiece model.
        pickled: Whether the weights are in ``pytorch_model.bin`` alone.
    """

    family: str
    folder: str
    files: Mapping[str, str]
    settings: Mapping[str, Any]
    reference: str = "tokenizer.json"
    tokenizer_config: Mapping[str, Any] = field(default_factory=dict)
    shift: int = 0
    pickled: bool = False

    def write(self, shared: Path, directory: Path) -> Path:
        """Write the checkpoint, with random weights."""
        directory.mkdir(parents=True)
        for name, target in self.files.items():
            shutil.copyfile(shared / "data" / self.folder / name, directory / target)
        if self.tokenizer_config:
            path = directory / "tokenizer_config.json"
            path.write_text(json.dumps(dict(self.tokenizer_config)))
        family = FAMILIES[self.family]
        config = transformers.CONFIG_MAPPING[family.model_types[0]](**self.settings)
        getattr(transformers, family.language_model).from_config(config).save_pretrained(directory)
        if self.pickled:
            weights = directory / "model.safetensors"
            torch.save(load_file(weights), directory / "pytorch_model.bin")
            weights.unlink()
        return directory

    def encoder(self, directory: Path) -> Encode:
        """The reference library's function from a text to ids, without special tokens."""
        path = directory / self.reference
        if self.reference == "moses":
            return moses(directory)
        if path.suffix == ".json":
            own = Tokenizer.from_file(str(path))
            return lambda text: own.encode(text, add_special_tokens=False).ids
        pieces: Any = SentencePieceProcessor(model_file=str(path))
        unknown = pieces.unk_id() + (3 if self.shift else 0)  # fairseq has its own there
        return lambda text: [
            unknown if pieces.is_unknown(i) else i + self.shift for i in pieces.encode(text)
        ]


def moses(directory: Path) -> Encode:
    """FlauBERT's tokens by sacremoses and a BPE of its files; lower case, spaces for line ends."""
    import sacremoses

    normalizer = sacremoses.MosesPunctNormalizer(lang="fr")
    words = sacremoses.MosesTokenizer(lang="fr")
    vocab = json.loads((directory / "vocab.json").read_text("utf-8"))
    lines = (directory / "merges.txt").read_text("utf-8").split("\n")[:-1]
    merges: Any = [tuple(line.split()[:2]) for line in lines]
    # some merges make what is in no vocabulary: an unknown token
    known = dict.fromkeys([*vocab, *(part for pair in merges for part in (*pair, "".join(pair)))])
    pieces = {piece: i for i, piece in enumerate(known)}
    bpe = BPE(pieces, merges, unk_token="<unk>", end_of_word_suffix="</w>")

    def encode(text: str) -> list[int]:
        from transformers.models.flaubert.tokenization_flaubert import replace_unicode_punct

        text = " ".join(text.replace("``", '"').replace("''", '"').split()).lower()
        text = normalizer.normalize(replace_unicode_punct(text))
        found = words.tokenize(text, escape=False)
        tokens = [token.value for word in found for token in bpe.tokenize(word)]
        return [vocab.get(token, vocab["<unk>"]) for token in tokens]

    return encode


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_VOCAB = ("added_tokens.json", "merges.txt", "vocab.json")
_NAMED = ("special_tokens_map.json", "tokenizer_config.json")
_PUBLISHED = "tokenizers/camembert_published_layout"
_PIECES = "sentencepiece.bpe.model"
_KOBART = "tokenizers/kobart"
_FLAUBERT_FILES = _same("vocab.json", "merges.txt", "tokenizer_config.json")

LAYOUTS = {
    "camembert": Layout(
        "camembert", "tokenizers/camembert", _same("tokenizer.json", "tokenizer_config.json"),
        _CAMEMBERT,
    ),
    "camembert published": Layout(
        "camembert", _PUBLISHED, _same("tokenizer.json", _PIECES), _CAMEMBERT,
    ),
    "camembert sentencepiece": Layout(
        "camembert", _PUBLISHED, _same(_PIECES), _CAMEMBERT, _PIECES, shift=4,
    ),
    "camembert sentencepiece named": Layout(
        "camembert", _PUBLISHED, _same(_PIECES), _CAMEMBERT, _PIECES,
        {"tokenizer_class": "CamembertTokenizer", "model_max_length": 512}, shift=4, pickled=True,
    ),
    "flaubert": Layout(
        "flaubert", "tokenizers/flaubert_uncased", _FLAUBERT_FILES, _FLAUBERT, "moses",
        pickled=True,
    ),
    "kobart": Layout(
        "bart", _KOBART, {"model.json": "tokenizer.json"}, _BART, pickled=True,
    ),
    "kobart named": Layout(
        "bart", _KOBART, {"model.json": "tokenizer.json"}, _BART,
        tokenizer_config={"tokenizer_class": "BartTokenizer"},
    ),
    "gptj": Layout(
        "gptj", "tokenizers/gptj", _same("tokenizer.json", *_VOCAB, *_NAMED),
        {"vocab_size": 50400, "n_embd": 16, "n_layer": 1, "n_head": 2, "rotary_dim": 4,
         "tie_word_embeddings": False, **_TEXT_ENDS}, pickled=True,
    ),
    "phi2": Layout(
        "phi", "tokenizers/phi2", _same("tokenizer.json", *_VOCAB, *_NAMED),
        {**_DECODER, "vocab_size": 51200, **_TEXT_ENDS},
    ),
    "llama": Layout(
        "llama", "tokenizers/llama_sentencepiece",
        _same("tokenizer.model", "tokenizer_config.json"), _LLAMA, "tokenizer.model",
    ),
    "llama unnamed": Layout(
        "llama", "tokenizers/llama_sentencepiece", _same("tokenizer.model"), _LLAMA,
        "tokenizer.model",
    ),
    "polyglot": Layout(
        "polyglot", "ko_polyglot_tokenizer", _same("tokenizer.json", *_NAMED),
        {**_DECODER, "vocab_size": 30080, "bos_token_id": 2, "eos_token_id": 2},
    ),
}  # fmt: skip
ENCODERS = [name for name, layout in LAYOUTS.items() if FAMILIES[layout.family].kind == "encoder"]
GENERATORS = [name for name in LAYOUTS if name not in ENCODERS]


def real_texts(shared: Path, each: int = 1200) -> dict[str, list[str]]:
    """Texts by language, so many of each."""
    places = {
        "French": ("fr_stsb", "sentence1"), "Korean": ("ko_nsmc", "text"),
        "English": ("en_rotten_tomatoes", "text"),
    }  # fmt: skip
    found = {}
    for language, (folder, column) in places.items():
        with (shared / "data" / folder / "train.csv").open(encoding="utf-8", newline="") as file:
            found[language] = [row[column] for row in islice(csv.DictReader(file), each)]
    return found
