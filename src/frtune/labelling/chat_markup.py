"""What servers leave around an answer: reasoning, channels, end-of-turn tokens, tags, fences."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

PAGE = re.compile(r"\s*<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_NAMES = r"(?:seed:)?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|details)"
_OPEN = re.compile(
    rf"<{_NAMES}(?:\s[^<>]*)?>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>"
    r"|<\|channel>(?:thought|analysis)|<unused94>(?:thought)?",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>|<channel\|>"
    r"|<unused95>",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(
    r"(?<!\W)\W*here is my thought process:?.*?here is my response:?", re.DOTALL | re.IGNORECASE
)
# gpt-oss; and the same where the server has left its tokens out
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)(.*?)(?:<\|message\|>|\Z)", re.DOTALL)
_BARE_CHANNELS = re.compile(r"\s*analysis(?=[A-Z\"'“]).*?(?:assistantfinal|\Z)", re.DOTALL)
_THOUGHT_BLOCK = re.compile(
    r"```(?:think\w*|thoughts?|reasoning)[ \t]*\n.*?(?:```|\Z)", re.DOTALL | re.IGNORECASE
)
_TOKEN = re.compile(
    r"<[|｜][^<>|｜\n]{1,40}[|｜]>"
    r"|<(?:/?s|[be]os|pad|unk|/?(?:start|end)_of_(?:turn|text|utterance)|endoftext|\|?/?turn\|?)>"
    r"|\[/?(?:INST|SYS|EOS|BOS|PAD|END)\]|(?<=\s)#{3,}\Z"
)
_ROLE = re.compile(r"\s*(?:assistant|model|chatbot|final)\s*(?:[:：\n]\s*|\Z)", re.IGNORECASE)
_NAMED_ROLE = re.compile(r"(?:assistant\s*[:：\n]|(?:ai|bot|model|a)\s*[:：])\s*", re.IGNORECASE)
# of a model that writes the next question too, or repeats the end of our prompt
_NEXT_TURN = re.compile(
    r"(?<=\n)[ \t]*(?:(?:user|human|question|instruction)\s*[:：]|</?text>"
    r"|#{1,6}\s*(?:instruction|input|response|user|human|question)\b)",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"<(answer|final|final_answer|output|response|results?)>(.*?)(?:</\1>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_STYLED = re.compile(r"\\(?:text\w*|emph|math[a-z]{2})\{([^{}]*)\}")
_COMMENT = re.compile(r"<!--(?:(?!<!--).)*?-->|<[!?]\w[^<>]*>|<!\[CDATA\[|\]\]>", re.DOTALL)
_ESCAPED = re.compile(r"&(?:quot|lt|gt|#0?3[49]|#x2[27]);", re.IGNORECASE)
_CHECKBOX = re.compile(r"^([ \t]*(?:[-*+•]|\d+[.)])[ \t]+)\[[ xX✓✔]?\][ \t]+", re.MULTILINE)
_TAG = re.compile(r"</?([A-Za-z][\w:.-]*)(?:\s[^<>]*)?/?>")
_INLINE = frozenset("a b code em i mark small span strong sub sup u".split())
_FENCE = re.compile(
    r"```(?:[\w-]*[ \t]*(?:\n|\Z)|(?:json|python|text)\b)?(.*?)(?:```|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_GREETING = re.compile(
    r"\A(?:sure|certainly|of course|okay|bien sûr|voilà|네|물론(?:입니다|이죠))\s?[!,.]\s+"
    r"|\A(?:here (?:you go|they are|you are)|voilà)\s?[:：]\s*",
    re.IGNORECASE,
)


class Body(NamedTuple):
    """An answer without what stood around it.

    Args:
        text: What is left.
        repairs: What was taken off, by name.
        unfinished: The reasoning has no end, so that there is no answer.
    """

    text: str
    repairs: list[str]
    unfinished: bool = False


def strip_markup(text: str, source: str = "") -> Body:
    r"""Take off reasoning, channels, end-of-turn tokens, tags, a greeting and a code fence.

    Args:
        text: What the model wrote.
        source: The text that it was asked about; tokens and tags that stand in it stay.

    Example:
        >>> strip_markup("Budget? Tax?</think>\n<answer>budget; tax</answer><|im_end|>")
        Body(text='budget; tax', repairs=['reasoning', 'turn_token', 'tags'], unfinished=False)
    """
    found, repairs = text.strip(), []
    body, unfinished = _without_reasoning(found)
    for name, step in (
        ("reasoning", lambda _: body),
        ("turn_token", lambda found: _one_turn(found, source)),
        ("tags", lambda found: _without_tags(found, source)),
        ("prose_around", lambda found: _GREETING.sub("", found, count=1)),
        ("code_fence", _without_fence),
    ):
        changed = step(found).strip()
        if changed != found:
            repairs.append(name)
        found = changed
    return Body(found, repairs, unfinished and not found)


def _without_reasoning(text: str) -> tuple[str, bool]:
    """Keep what follows the reasoning; tell whether it has no end."""
    if channels := list(_CHANNEL.finditer(text)):
        if channels[-1][1] != "final" and "to=functions" not in channels[-1][2]:
            return "", True
        text = text[channels[-1].end() :]
    if bare := _BARE_CHANNELS.match(text):
        text = text[bare.end() :]
        if not text:
            return "", True
    text = _THOUGHT_BLOCK.sub("", _ANNOUNCED.sub("", text, count=1))
    parts, at = [], 0
    while opening := _OPEN.search(text, at):
        closing = _CLOSE.search(text, opening.end())
        parts.append(text[at : opening.start()])
        at = closing.end() if closing else len(text)
        if closing is None:
            return "".join(parts), True
    text = "".join([*parts, text[at:]])
    ends = [closing.end() for closing in _CLOSE.finditer(text)]  # their opening is in the prompt
    return text[ends[-1] :] if ends else text, False


def _one_turn(text: str, source: str) -> str:
    """The first turn that says something: what comes after its end is none of the answer."""
    parts, at = [], 0
    for token in _TOKEN.finditer(text):
        if token[0] not in source:
            parts.append(text[at : token.start()])
            at = token.end()
    if not parts:
        if (role := _NAMED_ROLE.match(text)) and role[0].casefold() not in source.casefold():
            text = text[role.end() :]
        return _NEXT_TURN.split(text, maxsplit=1)[0]
    said = (_ROLE.sub("", part, count=1) for part in [*parts, text[at:]])
    return next((part for part in said if part.strip()), "")


def _without_tags(text: str, source: str) -> str:
    """What stands in answer tags, and each other tag as the end of a line."""
    if "\\boxed" in text and "\\boxed" not in source and (boxed := _BOXED.findall(text)):
        return _STYLED.sub(r"\1", boxed[-1])
    if _ESCAPED.search(text) and not _ESCAPED.search(source):
        text = html.unescape(text)
    text = _STYLED.sub(lambda styled: styled[0 if styled[0] in source else 1], text)
    if answers := [found[2] for found in _ANSWER.finditer(text) if found[0] not in source]:
        text = answers[-1]

    def replaced(tag: re.Match[str]) -> str:
        if tag[0] in source:
            return tag[0]
        return "" if tag[1].casefold() in _INLINE else "\n"

    return _CHECKBOX.sub(r"\1", _TAG.sub(replaced, _COMMENT.sub("", text)))


def _without_fence(text: str) -> str:
    """What stands in the one code block; several are left."""
    fences = _FENCE.findall(text)
    return fences[0] if len(fences) == 1 else text
