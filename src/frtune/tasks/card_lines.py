"""The part of a task's contract that a model card is made of: lines that answer without frtune."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from frtune.data.cleaning import clean_text
from frtune.tasks.token_labels import CLOSING, OPENING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ModelKind = Literal["encoder", "encoder-decoder", "decoder"]

SCORE_DIFFERENCE = 1e-3  # at most, between a score of the lines and one of frtune


class CardLines:
    """Lines of Python for the model card, and whether what they print is the task's answer.

    Attributes:
        text_columns: Columns of a row that hold text.
        answer_key: What ``predict`` calls the answer.
    """

    text_columns: Sequence[str]
    answer_key: Any

    def transformers_lines(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> list[str]:
        """Lines of Python that print the answer for one text with Transformers alone.

        ``torch``, ``model`` and ``tokenizer`` are there; ``"..."`` stands for each of
        ``line_texts``, and the last line prints one value. Here, none: the card leaves them out.
        """
        return []

    @property
    def divisor(self) -> float | None:
        """What logits of the saved model are yet to be divided by; ``None``: nothing."""
        return None

    def cross_encoder_lines(self, kind: ModelKind) -> list[str]:
        """The same with ``model``, a ``CrossEncoder`` of sentence-transformers; here, none."""
        return []

    def line_texts(self, row: Mapping[str, Any]) -> list[str]:
        """What stands in these lines for a row: its text, or both of a pair."""
        return [clean_text(row[column]) for column in self.text_columns]

    def is_same_answer(self, printed: Any, answer: Mapping[str, Any]) -> bool:
        """Whether the value that the lines print is an answer of ``predict``."""
        return is_close(printed, answer[self.answer_key])


def is_close(found: Any, expected: Any) -> bool:
    """Whether two values are equal, but for the rounding of the numbers in them.

    Example:
        >>> is_close({"label": "a", "score": 0.91}, {"label": "a", "score": 0.9104})
        True
        >>> is_close([1.0], [1.0, 2.0]), is_close("a", "b")
        (False, False)
    """
    if isinstance(expected, bool | str) or expected is None:
        return found == expected
    if isinstance(expected, int | float):
        return isinstance(found, int | float) and math.isclose(
            found, expected, rel_tol=SCORE_DIFFERENCE, abs_tol=SCORE_DIFFERENCE
        )
    if isinstance(expected, Mapping):
        same = isinstance(found, Mapping) and found.keys() == expected.keys()
        return same and all(is_close(found[key], expected[key]) for key in expected)
    same = isinstance(found, list) and len(found) == len(expected)
    return same and all(map(is_close, found, expected))


def one_label_lines(
    *, limit: int, temperature: float | None, least: float | None, tree: bool
) -> list[str]:
    """Lines for the likeliest of some labels, or none that is not likely enough."""
    given = f"label if score >= {least} else None" if least is not None else "label"
    above = ["# frtune answers with a node above the label where it is not sure of the label"]
    return [
        *_logits(1, limit),
        *(above if tree else []),
        f"chances = {_calibrated('logits', temperature)}.softmax(-1)",
        "score, label = chances.max().item(), model.config.id2label[chances.argmax().item()]",
        f'print({{"label": {given}, "score": round(score, 4)}})',
    ]


def several_labels_lines(
    limits: Mapping[str, float], *, limit: int, temperature: float | None
) -> list[str]:
    """Lines for those of some labels that are probable enough."""
    shown = {label: round(value, 6) for label, value in limits.items()}
    return [
        *_logits(1, limit),
        f"chances = {_calibrated('logits', temperature)}.sigmoid().tolist()",
        f"limits = {shown!r}",
        "scores = dict(zip(model.config.id2label.values(), chances))",
        "print({each: round(score, 4) for each, score in scores.items()",
        "       if score >= limits[each]})",
    ]


def pair_lines(*, limit: int, symmetric: bool, scored: bool) -> list[str]:
    """Lines for a pair that a tokenizer puts together."""
    read = _logits(2, limit)
    if symmetric:
        turned = [line.replace("text, text_pair", "text_pair, text") for line in read[1:]]
        read = [*read, "first = logits", *turned, "logits = (first + logits) / 2"]
    return [*read, *_similarity(scored)]


def framed_pair_lines(frame: Any, *, limit: int, symmetric: bool, scored: bool) -> list[str]:
    """Lines for a pair that a tokenizer does not keep apart, with the ids that stand around it."""
    before, between, after = (list(ids) for ids in (frame.before, frame.between, frame.after))
    room = limit - frame.tokens
    return [
        'text, text_pair = "...", "..."',
        "",
        "def logits_of(first, second):",
        '    first, second = (tokenizer(each, add_special_tokens=False)["input_ids"]',
        "                     for each in (first, second))",
        f"    kept = min(len(first), max({room - room // 2}, {room} - len(second)))",
        f"    first, second = first[:kept], second[:{room} - kept]",
        f"    ids = torch.tensor([[*{before}, *first, *{between}, *second, *{after}]])",
        "    with torch.no_grad():",
        "        return model(ids.to(model.device), use_cache=False).logits[0].float()",
        "",
        "logits = logits_of(text, text_pair)",
        *(["logits = (logits + logits_of(text_pair, text)) / 2"] if symmetric else []),
        *_similarity(scored),
    ]


def encoder_pair_lines(*, scored: bool) -> list[str]:
    """Lines for a pair with a ``CrossEncoder``."""
    texts = 'text, text_pair = "...", "..."'
    if scored:
        return [
            texts,
            'print({"similarity": round(float(model.predict([(text, text_pair)])[0]), 4)})',
        ]
    return [
        texts,
        "chances = model.predict([(text, text_pair)], apply_softmax=True)[0]",
        "label = model.config.id2label[int(chances[1] >= 0.5)]",
        'print({"label": label, "similarity": round(float(chances[1]), 4)})',
    ]


def keyword_lines(*, limit: int, threshold: float | None, by_word: bool) -> list[str]:
    """Lines for spans of a text, with a tokenizer that says where its tokens stand."""
    likeliest = "chances, labels = (each.tolist() for each in logits.softmax(-1).max(-1))"
    labels = [likeliest] if threshold is None else _above(threshold)
    rest_of_word = _REST_OF_WORD if by_word else ""
    return [
        "import re",
        "",
        'text = "..."',
        f'read = tokenizer(text, truncation=True, max_length={limit}, return_tensors="pt",',
        "                 return_offsets_mapping=True)",
        'places = read.pop("offset_mapping")[0].tolist()',
        "with torch.no_grad():",
        "    logits = model(**read.to(model.device)).logits[0].float()",
        *labels,
        *_SPANS.replace("REST_OF_WORD\n", rest_of_word)
        .replace("OPENING", repr(OPENING.pattern))
        .replace("CLOSING", repr(CLOSING.pattern))
        .splitlines(),
    ]


_SPANS = """# start, end of the first token, start of the last, end, chances
found, inside, last = [], False, 0
for (start, end), label, chance in zip(places, labels, chances):
    if start == end:  # a special token
        continue
REST_OF_WORD
    if label and (inside and label == 2 or found and start < found[-1][3]):
        found[-1][2:4] = start, end
        found[-1][4].append(chance)
    elif label:
        found.append([start, end, start, end, [chance]])
    inside, last = label > 0, end

opening = re.compile(OPENING)  # what a token may have beside the word
closing = re.compile(CLOSING)
answer = []
for start, first_end, last_start, end, each in found:
    if beside := opening.match(text, start, first_end):
        start = beside.end()
    if beside := closing.search(text[max(last_start, start):end]):
        end = max(last_start, start) + beside.start()
    if text[start:end].strip():
        answer.append({"text": text[start:end], "score": round(sum(each) / len(each), 4)})
print(answer)
"""
_REST_OF_WORD = """    if start < last or 0 < start == last and text[start-1:start+1].isalnum():
        if inside:  # the rest of a word has the word's label
            found[-1][2:4] = start, end
        last = end
        continue
"""


def _above(threshold: float) -> list[str]:
    return [
        "chances = (1 - logits.softmax(-1)[:, 0]).tolist()  # of being a keyword's",
        f"labels = [1 + label if chance >= {threshold} else 0 for label, chance",
        "          in zip(logits[:, 1:].argmax(-1).tolist(), chances)]",
    ]


def prefix_lines(prefix: str, tokenizer: Any, *, limit: int) -> list[str]:
    """Lines that leave ``read`` of a text after a prefix; EOS ends it, whoever puts it there."""
    end = tokenizer.eos_token_id
    if tokenizer("a")["input_ids"][-1] == end:
        reading = [f"read = tokenizer(prefix + text, truncation=True, max_length={limit},",
                   '                 return_tensors="pt")["input_ids"]']  # fmt: skip
    else:
        reading = [f'read = tokenizer(prefix + text, truncation=True, max_length={limit - 1})',
                   f'read = torch.tensor([[*read["input_ids"], {end}]])']  # fmt: skip
    return ['text = "..."', f"prefix = {prefix!r}", *reading]


def marker_lines(start: str, middle: str, *, limit: int) -> list[str]:
    """Lines that leave ``read`` of a text between two tokens."""
    return [
        'text = "..."',
        'read = tokenizer(text, add_special_tokens=False)["input_ids"]',
        f'start, middle = tokenizer.convert_tokens_to_ids(["{start}", "{middle}"])',
        f"read = torch.tensor([[start, *read[:{limit - 2}], middle]])",
    ]


def chat_lines(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines that leave ``read`` of messages; the last ends with the text."""
    *system, user = messages
    before = user["content"].removesuffix("...")  # the instruction, where there is no system
    content = f"{before!r} + text" if before else "text"
    return [
        'text = "..."',
        f"messages = {[dict(each) for each in system]!r}",
        f'messages.append({{"role": "user", "content": {content}}})',
        "read = tokenizer.apply_chat_template(",
        "    messages, add_generation_prompt=True, enable_thinking=False,",
        '    return_tensors="pt", return_dict=True)["input_ids"]',
    ]


def writing_lines(*, prompted: bool) -> list[str]:
    """Lines that print what the model writes after ``read``; its directory says how."""
    return [
        "read = read.to(model.device)",
        "written = model.generate(input_ids=read, attention_mask=torch.ones_like(read))[0]",
        *(["written = written[read.shape[1]:]"] if prompted else []),
        "print(tokenizer.decode(written, skip_special_tokens=True))",
    ]


def _logits(columns: int, limit: int) -> list[str]:
    """Lines that leave ``logits``, ``(labels,)``."""
    names = "text" if columns == 1 else "text, text_pair"
    texts = ", ".join(['"..."'] * columns)
    return [
        f"{names} = {texts}",
        f'read = tokenizer({names}, truncation=True, max_length={limit}, return_tensors="pt")',
        "with torch.no_grad():",
        "    logits = model(**read.to(model.device)).logits[0].float()",
    ]


def _similarity(scored: bool) -> list[str]:
    if scored:
        return ['print({"similarity": round(logits[0].item(), 4)})']
    return [
        "chances = logits.softmax(-1)",
        "label = model.config.id2label[int(chances[1] >= 0.5)]",
        'print({"label": label, "similarity": round(chances[1].item(), 4)})',
    ]


def _calibrated(logits: str, temperature: float | None) -> str:
    return logits if temperature is None else f"({logits} / {temperature:.6g})"


def without_blanks(phrases: Iterable[str]) -> list[str]:
    """Phrases without white space, sorted: a decoder of tokens joins some of it."""
    return sorted("".join(phrase.split()) for phrase in phrases)
