"""Small tokenizers of the kinds that families have, trained on the user's own texts.

Every function returns the files of a tokenizer: file name to content. ``tokenizer_config.json``
says what the published checkpoints say, with their quirks: that is what the builders must survive.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers as tokenizer_trainers
from transformers.models.flaubert.tokenization_flaubert import (
    remove_non_printing_char,
    replace_unicode_punct,
)

Files = dict[str, Any]

_LONGEST_INPUT = 10**30  # what Transformers writes for "no limit"
_METASPACE: dict[str, Any] = {"replacement": "▁", "prepend_scheme": "always", "split": True}
_FRAME = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_MASKED = {**_FRAME, "pad_token": "<pad>", "mask_token": "<mask>"}
_ROBERTA = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}
_ROBERTA |= _MASKED
_T5 = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 100}
_GPT2 = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
_BERT = {
    "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}  # fmt: skip
_SENTINELS = [f"<extra_id_{i}>" for i in reversed(range(100))]


def _alphabet(texts: Sequence[str], limit: int) -> list[str]:
    """The most frequent characters, the space mark among them, in a fixed order."""
    counts = Counter(char for text in texts for char in text if not char.isspace())
    ranked = sorted(counts, key=lambda char: (-counts[char], char))
    return sorted({"▁", *ranked[: limit - 1]})


def _bpe(
    texts: Sequence[str],
    vocab_size: int,
    special_tokens: Sequence[str],
    pre_tokenizer: pre_tokenizers.PreTokenizer,
    *,
    alphabet: Sequence[str],
    **model_options: Any,
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model_options))
    tokenizer.pre_tokenizer = pre_tokenizer
    suffix = model_options.get("end_of_word_suffix")
    # named beforehand, because the trainer numbers them in the order of a hash map
    endings = [char + suffix for char in alphabet] if suffix else []
    trainer = tokenizer_trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*special_tokens, *endings],
        initial_alphabet=list(alphabet),
        limit_alphabet=len(alphabet),
        show_progress=False,
        **({"end_of_word_suffix": suffix} if suffix else {}),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_added_tokens(tokenizer, special_tokens)


def _with_added_tokens(tokenizer: Tokenizer, kept: Sequence[str]) -> Tokenizer:
    """The same tokenizer with ``kept`` as its only added tokens."""
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] in kept]
    return Tokenizer.from_str(json.dumps(content))


def _byte_level(texts: Sequence[str], vocab_size: int, special_tokens: Sequence[str]) -> Tokenizer:
    """GPT-2's kind: BPE on the bytes of UTF-8, so that no text is unknown."""
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = _bpe(texts, vocab_size, special_tokens, pre_tokenizer, alphabet=alphabet)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _unigram_pieces(texts: Sequence[str], vocab_size: int) -> list[tuple[str, float]]:
    """SentencePiece's pieces with their log probabilities, the best first."""
    model = io.BytesIO()
    # on one thread: the same texts give the same pieces; the trainer of `tokenizers` does not
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in texts for line in text.splitlines()]),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        max_sentence_length=1_000_000,
        num_threads=1,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(trained.id_to_piece(i), trained.get_score(i)) for i in range(len(trained))]
    return [piece for piece in pieces if piece[0] != "<unk>"]


def _unigram(pieces: list[tuple[str, float]], unk_id: int) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unk_id, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**_METASPACE)]
    )
    tokenizer.decoder = decoders.Metaspace(**_METASPACE)
    return tokenizer


def _template(tokenizer: Tokenizer, single: str, pair: str, tokens: Sequence[str]) -> None:
    ids = [(token, tokenizer.token_to_id(token)) for token in tokens]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=ids
    )


def _files(tokenizer: Tokenizer, tokenizer_class: str | None, **config: Any) -> Files:
    config = {"model_max_length": _LONGEST_INPUT, **config}
    if tokenizer_class:
        config["tokenizer_class"] = tokenizer_class
    return {"tokenizer.json": json.loads(tokenizer.to_str()), "tokenizer_config.json": config}


def camembert_unigram(texts: Sequence[str], vocab_size: int) -> Files:
    """Unigram with fairseq's unused ids in front and ``<mask>`` at the end."""
    head = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
    pieces = _unigram_pieces(texts, vocab_size - len(head) - 1)
    vocab = [*((token, 0.0) for token in head), *pieces, ("<mask>", 0.0)]
    tokenizer = _unigram(vocab, unk_id=3)
    tokenizer.add_special_tokens([*head, "<mask>"])
    _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return _files(tokenizer, "CamembertTokenizer", model_max_length=512, **_ROBERTA)


def xlm_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """XLM's kind: Moses words, BPE with an end-of-word mark, no ``tokenizer.json``."""
    words = [" ".join(_moses_words(text)) for text in texts]
    special = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{i}>" for i in range(10))]
    spaces, alphabet = pre_tokenizers.WhitespaceSplit(), _alphabet(words, vocab_size // 4)
    options = {"unk_token": "<unk>", "end_of_word_suffix": "</w>"}
    tokenizer = _bpe(words, vocab_size, special, spaces, alphabet=alphabet, **options)
    model = json.loads(tokenizer.to_str())["model"]
    # XLM's merges carry their count as a third field, which its reader drops
    merges = "".join(f"{left} {right} 1\n" for left, right in model["merges"])
    config = {
        "tokenizer_class": "FlaubertTokenizer",
        "do_lowercase": False,
        "model_max_length": 512,
    }
    return {"vocab.json": model["vocab"], "merges.txt": merges, "tokenizer_config.json": config}


def _moses_words(text: str) -> list[str]:
    try:
        import sacremoses
    except ImportError as error:
        raise ImportError(
            "FlauBERT's tokenizer needs sacremoses: pip install 'frtune[flaubert]'."
        ) from error

    text = sacremoses.MosesPunctNormalizer(lang="fr").normalize(replace_unicode_punct(text))
    text = remove_non_printing_char(text)
    words: Any = sacremoses.MosesTokenizer(lang="fr").tokenize(text, escape=False)
    return words


def wordpiece(texts: Sequence[str], vocab_size: int) -> Files:
    """WordPiece, cased, with accents kept."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = _alphabet(texts, vocab_size // 4)
    trainer = tokenizer_trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*special, *(f"##{char}" for char in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer = _with_added_tokens(tokenizer, special)
    _template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    return _files(tokenizer, "BertTokenizer", model_max_length=512, do_lower_case=False)


def t5_unigram(texts: Sequence[str], vocab_size: int) -> Files:
    """Unigram; pad, EOS and unknown first, 100 sentinels last, in falling order."""
    pieces = _unigram_pieces(texts, vocab_size - 3 - len(_SENTINELS))
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces]
    tokenizer = _unigram([*vocab, *((token, 0.0) for token in _SENTINELS)], unk_id=2)
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", *_SENTINELS])
    _template(tokenizer, "$A </s>", "$A </s> $B </s>", ["</s>"])
    return _files(tokenizer, "T5Tokenizer", model_max_length=512, **_T5)


def t5_byte_level(texts: Sequence[str], vocab_size: int) -> Files:
    """pko-t5's kind: byte-level BPE in a checkpoint whose config names T5's Unigram class."""
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = _byte_level(texts, vocab_size - len(_SENTINELS), special)
    tokenizer.add_special_tokens(_SENTINELS)
    return _files(tokenizer, "T5TokenizerFast", model_max_length=512, **_T5)


def kobart_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """KoBART's kind: character BPE with space marks, and nothing that appends EOS."""
    special = ["<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>"]
    metaspace, alphabet = pre_tokenizers.Metaspace(**_METASPACE), _alphabet(texts, vocab_size // 2)
    tokenizer = _bpe(texts, vocab_size, special, metaspace, alphabet=alphabet, unk_token="<unk>")
    tokenizer.decoder = decoders.Metaspace(**_METASPACE)
    return _files(tokenizer, None, **_MASKED)


def roberta_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """facebook/bart's kind: GPT-2's BPE inside RoBERTa's frame."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _byte_level(texts, vocab_size, special)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", special.index("</s>")), ("<s>", special.index("<s>"))
    )
    options = {**_ROBERTA, "model_max_length": 1024, "add_prefix_space": False}
    return _files(tokenizer, "BartTokenizer", **options)


def xlm_roberta_unigram(texts: Sequence[str], vocab_size: int) -> Files:
    """XLM-R's kind: Unigram in RoBERTa's frame, as mBART's."""
    head = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = _framed_unigram(texts, vocab_size, head, ["<mask>"], unk="<unk>")
    _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return _files(tokenizer, "XLMRobertaTokenizer", model_max_length=512, **_ROBERTA)


def deberta_unigram(texts: Sequence[str], vocab_size: int) -> Files:
    """DeBERTa v3's kind: Unigram in BERT's frame."""
    head = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    tokenizer = _framed_unigram(texts, vocab_size, head, ["[MASK]"], unk="[UNK]")
    _template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    return _files(tokenizer, "DebertaV2Tokenizer", model_max_length=512, **_BERT)


def pegasus_unigram(texts: Sequence[str], vocab_size: int) -> Files:
    """PEGASUS's kind: Unigram that ends a text with EOS, and two masks."""
    head = ["<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk>"]
    tokenizer = _framed_unigram(texts, vocab_size, head, [], unk="<unk>")
    _template(tokenizer, "$A </s>", "$A $B </s>", ["</s>"])
    names = {**_T5, "mask_token": "<mask_2>", "offset": 0}
    del names["extra_ids"]
    return _files(tokenizer, "PegasusTokenizer", model_max_length=1024, **names)


def _framed_unigram(
    texts: Sequence[str], vocab_size: int, head: list[str], tail: list[str], *, unk: str
) -> Tokenizer:
    pieces = _unigram_pieces(texts, vocab_size - len(head) - len(tail))
    vocab = [*((token, 0.0) for token in head), *pieces, *((token, 0.0) for token in tail)]
    tokenizer = _unigram(vocab, unk_id=head.index(unk))
    tokenizer.add_special_tokens([*head, *tail])
    return tokenizer


def modernbert_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """ModernBERT's kind: byte-level BPE in BERT's frame."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer = _byte_level(texts, vocab_size, special)
    _template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ["[CLS]", "[SEP]"])
    return _files(tokenizer, "PreTrainedTokenizerFast", model_max_length=8192, **_BERT)


def opt_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """OPT's kind: GPT-2's BPE, with one token for BOS and EOS in front of a text."""
    tokenizer = _byte_level(texts, vocab_size, ["<s>", "<pad>", "</s>", "<unk>"])
    _template(tokenizer, "</s> $A", "</s> $A </s> $B", ["</s>"])
    names = {**dict.fromkeys(("bos_token", "eos_token", "unk_token"), "</s>"), "pad_token": "<pad>"}
    return _files(tokenizer, "GPT2Tokenizer", **names, add_bos_token=True)


def qwen_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """Qwen's kind: byte-level BPE; a turn's end is EOS, and padding another token."""
    tokenizer = _byte_level(texts, vocab_size, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return _files(tokenizer, "Qwen2Tokenizer", **names)


def exaone_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """EXAONE's kind: byte-level BPE with tokens of its own for BOS, EOS and padding."""
    tokenizer = _byte_level(
        texts, vocab_size, ["[PAD]", "[BOS]", "[EOS]", "[UNK]", "[|endofturn|]"]
    )
    names = {"bos_token": "[BOS]", "eos_token": "[|endofturn|]", "pad_token": "[PAD]"}
    return _files(tokenizer, "GPT2Tokenizer", **names, unk_token="[UNK]")


def olmo_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """OLMo 2's kind: GPT-2's with a padding token."""
    tokenizer = _byte_level(texts, vocab_size, ["<|endoftext|>", "<|pad|>"])
    return _files(tokenizer, "GPT2Tokenizer", **_GPT2, pad_token="<|pad|>")


def polyglot_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """Polyglot-Ko's kind: byte-level BPE whose padding token is its EOS."""
    special = ["<|unused0|>", "<|unused1|>", "<|endoftext|>", "<|sep|>"]
    tokenizer = _byte_level(texts, vocab_size - 3, special)
    tokenizer.add_special_tokens(["<|acc|>", "<|tel|>", "<|rrn|>"])
    ends = dict.fromkeys(("eos_token", "pad_token"), "<|endoftext|>")
    return _files(tokenizer, "PreTrainedTokenizerFast", **ends)


def gpt2_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """GPT-2's tokenizer: one special token, and none for padding."""
    return _gpt2(texts, vocab_size, "GPT2Tokenizer", 1024)


def _gpt2(texts: Sequence[str], vocab_size: int, name: str, longest: int) -> Files:
    tokenizer = _byte_level(texts, vocab_size, ["<|endoftext|>"])
    return _files(tokenizer, name, model_max_length=longest, **_GPT2, add_prefix_space=False)


def llama_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """BPE on characters that falls back to bytes; BOS in front, no padding token."""
    tokenizer = _byte_fallback(texts, vocab_size, ["<unk>", "<s>", "</s>"], first="▁")
    _template(tokenizer, "<s> $A", "<s> $A <s>:1 $B:1", ["<s>"])
    return _files(tokenizer, "LlamaTokenizer", **_FRAME, add_bos_token=True, add_eos_token=False)


def gemma_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """Gemma's kind: LLaMA's without a space in front of a text, and with a padding token."""
    tokenizer = _byte_fallback(texts, vocab_size, ["<pad>", "<eos>", "<bos>", "<unk>"], first="")
    _template(tokenizer, "<bos> $A", "<bos> $A <bos>:1 $B:1", ["<bos>"])
    names = {f"{name}_token": f"<{name}>" for name in ("pad", "eos", "bos", "unk")}
    return _files(tokenizer, "GemmaTokenizer", **names, add_bos_token=True, add_eos_token=False)


def _byte_fallback(
    texts: Sequence[str], vocab_size: int, special: list[str], *, first: str
) -> Tokenizer:
    special_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    metaspace, alphabet = pre_tokenizers.Metaspace(**_METASPACE), _alphabet(texts, vocab_size // 2)
    options: dict[str, Any] = {"unk_token": "<unk>", "fuse_unk": True}
    tokens = [*special, *special_bytes]
    trained = _bpe(texts, vocab_size, tokens, metaspace, alphabet=alphabet, **options)
    # bytes are ordinary entries of the vocabulary, not special tokens
    content = json.loads(_with_added_tokens(trained, special).to_str())
    content["model"]["byte_fallback"] = True
    content["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(content))
    marks: list[Any] = [normalizers.Prepend(first)] if first else []
    tokenizer.normalizer = normalizers.Sequence([*marks, normalizers.Replace(" ", "▁")])
    strip: list[Any] = [decoders.Strip(" ", 1, 0)] if first else []
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def codegen_bpe(texts: Sequence[str], vocab_size: int) -> Files:
    """CodeGen's tokenizer: GPT-2's kind under another class name, none for padding."""
    return _gpt2(texts, vocab_size, "CodeGenTokenizer", 2048)
