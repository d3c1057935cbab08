"""A decoder's own chat template as the frame of a text: messages in, exactly the template's ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frtune.data.token_ids import token_ids
from frtune.errors import InputError

Messages = list[dict[str, str]]

LEAST_ROOM = 8  # tokens of a text that must fit beside the frame
_TEXT, _ANSWER = "frtuneTextOfTheRow", "frtuneAnswerToTheRow"  # what no template writes itself
_PROBES = (
    "L'été, où est la forêt ?\nLe maire a voté 1 234 € pour l'école.",
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "The council's budget (2024) was approved, wasn't it?",
)
_NO_THOUGHT = re.compile(r"\s*(?:<(\w+)>\s*</\1>|\[(\w+)\]\s*\[/\2\])\s*")  # <think></think>
_DATE = "01 Jan 2025"
_DATES = {"%d %b %Y": _DATE, "%B %d, %Y": "January 01, 2025", "%Y-%m-%d": "2025-01-01"}
_FIXED_DATE = (
    "{%- macro strftime_now(format) -%}{{ "
    + f"{_DATES}.get(format, '{_DATE}')"
    + " }}{%- endmacro -%}"
)
_NOT_THINKING = "{%- set enable_thinking = enable_thinking | default(false) -%}"


@dataclass(frozen=True)
class ChatFrame:
    """What a chat template writes around a text and around the answer to it.

    Attributes:
        before: Text before the row's text, with the instruction.
        after: Text between the row's text and the answer.
        lead: White space before the answer.
        tail: Text after the answer; the end of turn stands last.
        end_id: The token that ends a turn.
        system: Whether the instruction is a system message, rather than part of the user's.
        control: Tokens that neither a text nor an answer may spell.
    """

    before: str
    after: str
    lead: str
    tail: str
    end_id: int
    system: bool
    control: tuple[str, ...]

    def prompt(self, text: str) -> str:
        """What the model reads before it answers."""
        return f"{self.before}{text}{self.after}"

    def plain(self, text: str) -> str:
        """The text with a space where it spells a control token."""
        for name in self.control:  # the longest first
            text = text.replace(name, " ")
        return text.strip()


def messages(instruction: str, text: str, *, system: bool, answer: str | None = None) -> Messages:
    r"""A row as a conversation.

    Example:
        >>> [message["role"] for message in messages("List ...", "A text.", system=True)]
        ['system', 'user']
        >>> messages("List ...", "A text.", system=False)
        [{'role': 'user', 'content': 'List ...\n\nA text.'}]
    """
    if system:
        found = [_message("system", instruction), _message("user", text)]
    else:
        found = [_message("user", f"{instruction}\n\n{text}")]
    return found if answer is None else [*found, _message("assistant", answer)]


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def settle_template(tokenizer: Any) -> None:
    """Give a chat template, in place, what it is asked for wherever the saved model is served.

    A template that can think is told not to, unless it is asked to; one that writes the day gets a
    fixed one, so that a run that goes on tomorrow reads what it read today.
    """
    try:
        template = settled = tokenizer.get_chat_template()
    except ValueError as error:  # several templates, each with a name
        raise _refusal(tokenizer, "has no default among its names") from error
    if "strftime_now" in template and _FIXED_DATE not in template:
        settled = _FIXED_DATE + settled
    if "enable_thinking" in template and _NOT_THINKING not in template:
        settled = _NOT_THINKING + settled
    if settled != template:
        several = isinstance(tokenizer.chat_template, dict)
        named = {**tokenizer.chat_template, "default": settled} if several else settled
        tokenizer.chat_template = named


def chat_frame(tokenizer: Any, instruction: str) -> ChatFrame:
    """Find the frame of a tokenizer's chat template.

    Raises:
        InputError: If the template cannot be used.
    """
    if not tokenizer.is_fast:
        raise _refusal(tokenizer, "needs a tokenizer that knows the places of tokens")
    prompt, system = _prompt(tokenizer, instruction)
    before, after = prompt.split(_TEXT)
    conversation = messages(instruction, _TEXT, system=system, answer=_ANSWER)
    whole = _rendered(tokenizer, conversation, answered=True)
    if whole.count(_ANSWER) != 1:
        raise _refusal(tokenizer, "does not repeat an answer as it is")
    beginning, rest = whole.split(_ANSWER)
    lead = _lead(tokenizer, prompt, beginning)
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    visible = sorted(filter(str.strip, added), key=len, reverse=True)
    found = re.search("|".join(map(re.escape, visible)) or "(?!)", rest)
    if found is None or rest[: found.start()].strip():
        raise _refusal(tokenizer, "writes no token that ends an answer")
    frame = before + after + rest[: found.end()]
    control = (name for name in visible if added[name].special or name in frame)
    return ChatFrame(
        before=before,
        after=after,
        lead=lead,
        tail=rest[: found.end()],
        end_id=int(tokenizer.convert_tokens_to_ids(found.group())),
        system=system,
        control=tuple(control),
    )


def _refusal(tokenizer: Any, reason: str) -> InputError:
    return InputError(
        f"tokenizer={tokenizer.name_or_path}: its chat template {reason}. "
        'Pass --prompt markers (prompt="markers"), or another template.'
    )


def _rendered(tokenizer: Any, conversation: Messages, *, answered: bool = False) -> str:
    return tokenizer.apply_chat_template(
        conversation,
        tokenize=False,
        add_generation_prompt=not answered,
        enable_thinking=False,  # templates that know no such thing ignore it
    )


def _prompt(tokenizer: Any, instruction: str) -> tuple[str, bool]:
    """The rendered prompt, and whether the template knows a system message."""
    problem: Any = "leaves out a part of the messages"
    for system in (True, False):
        try:
            prompt = _rendered(tokenizer, messages(instruction, _TEXT, system=system))
        except ImportError:
            raise
        except Exception as error:  # a template may raise what it likes; many do for "system"
            problem = f"fails ({(str(error) or repr(error)).splitlines()[0]})"
            continue
        # a template may also drop a system message without a word
        if prompt.count(_TEXT) == 1 and instruction.strip() in prompt:
            return prompt, system
    raise _refusal(tokenizer, problem)


def _lead(tokenizer: Any, prompt: str, beginning: str) -> str:
    """White space before an answer; ``beginning`` is a conversation up to its answer.

    Some templates write the empty block of thoughts into the prompt alone, others into the
    conversation alone. It is read where the prompt has it, and never written.
    """
    if beginning.startswith(prompt):
        lead = beginning.removeprefix(prompt)
        if not lead.strip():
            return lead
        if _NO_THOUGHT.fullmatch(lead):
            return ""
    elif prompt.startswith(beginning) and _NO_THOUGHT.fullmatch(prompt.removeprefix(beginning)):
        return ""
    raise _refusal(tokenizer, "asks for an answer otherwise than it repeats one")


def check_room(frame: ChatFrame, tokenizer: Any, limit: int) -> None:
    """Refuse (``InputError``) a limit that leaves no room for a text."""
    taken = len(token_ids([frame.prompt("a")], tokenizer)[0]) - 1
    if taken + LEAST_ROOM > limit:
        raise InputError(
            f"max_source_tokens={limit}: the chat template and the instruction take {taken} of "
            f"them. Pass --max-source-tokens {taken + LEAST_ROOM} or more."
        )


def chat_sources(
    texts: Sequence[str], frame: ChatFrame, tokenizer: Any, limit: int
) -> tuple[list[list[int]], list[bool]]:
    """Decoder input: the template's ids of each text, of which the end is cut.

    Text and frame are tokenised as one, for a token may reach over the border between them.

    Returns:
        Ids of each prompt, at most ``limit``, and whether its text was cut.
    """
    check_room(frame, tokenizer, limit)
    texts = [frame.plain(text) for text in texts]
    rows = token_ids([frame.prompt(text) for text in texts], tokenizer)
    cut = [len(ids) > limit for ids in rows]
    for i in (i for i, too_long in enumerate(cut) if too_long):
        rows[i] = _shortened(texts[i], frame, tokenizer, limit)
    return rows, cut


def _shortened(text: str, frame: ChatFrame, tokenizer: Any, limit: int) -> list[int]:
    """Ids of the prompt with as much of the text as fits; it is cut where a token begins."""
    start = len(frame.before)
    while True:
        encoded = tokenizer(
            frame.prompt(text), add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids = encoded["input_ids"]
        if (over := len(ids) - limit) <= 0:
            return ids
        end = start + len(text)
        places = [
            first for first, last in encoded["offset_mapping"] if start < last and first < end
        ]
        # what is left may have other tokens at its end, and be too long still
        kept = max(0, len(places) - over)
        text = text[: max(0, places[kept] - start)].rstrip()


def reply_ids(answers: Sequence[str], frame: ChatFrame, tokenizer: Any) -> list[list[int]]:
    """Ids of each answer as they follow a prompt, the end of turn last."""
    anchor = f"a{frame.after}"  # a tokenizer may treat the first word of all in its own way
    texts = [f"{anchor}{frame.lead}{frame.plain(answer)}{frame.tail}" for answer in answers]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    rows = []
    for ids, places in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        if any(first < len(anchor) < last for first, last in places):
            raise _refusal(tokenizer, "shares a token between prompt and answer")
        rows.append([i for i, (_, last) in zip(ids, places, strict=True) if last > len(anchor)])
    return rows


def prove_chat(tokenizer: Any, instruction: str, *, limit: int) -> None:
    """Check on probe texts that the ids are those of ``tokenizer.apply_chat_template``.

    Raises:
        InputError: If they are not, or ``limit`` leaves no room for a text.
    """
    frame = chat_frame(tokenizer, instruction)
    check_room(frame, tokenizer, limit)
    prompts, _ = chat_sources(_PROBES, frame, tokenizer, limit=100_000)
    for text, ids in zip(_PROBES, prompts, strict=True):
        found = tokenizer.apply_chat_template(
            messages(instruction, text, system=frame.system),
            add_generation_prompt=True,
            enable_thinking=False,
            return_dict=False,
        )
        if list(found) != ids:
            raise _refusal(tokenizer, "changes the text of a message")
    answer = "budget; school canteen"
    (ids,) = reply_ids([answer], frame, tokenizer)
    written = tokenizer.decode(ids[:-1], clean_up_tokenization_spaces=False)
    if ids[-1] != frame.end_id or "".join(written.split()) != "".join(answer.split()):
        raise _refusal(tokenizer, "changes an answer")
