"""How a model is asked for a line of text: after a prefix, between markers, or as a chat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from frtune.data.token_ids import token_ids
from frtune.errors import InputError
from frtune.tasks import chat, tokenization
from frtune.tasks.base import ModelKind
from frtune.tasks.tokenization import END, MIDDLE, START

PromptName = Literal["auto", "chat", "markers"]
Cut = tuple[list[list[int]], list[bool]]  # ids, and whether a text's end was cut off


def prompt_name(wanted: PromptName, tokenizer: Any, kind: ModelKind) -> PromptName:
    """``"chat"`` or ``"markers"``: what is wanted, or what suits a tokenizer.

    Raises:
        InputError: If a chat is wanted of a tokenizer that has no template, or of a model that is
            no decoder.
    """
    template = getattr(tokenizer, "chat_template", None)
    if wanted == "chat" and (kind != "decoder" or not template):
        missing = "has no chat template" if kind == "decoder" else f"is of an {kind}"
        raise InputError(
            f"prompt=chat: tokenizer {tokenizer.name_or_path} {missing}. Leave --prompt chat out."
        )
    if wanted != "auto":
        return wanted
    if kind != "decoder" or not template:
        return "markers"
    # a model that has learnt the markers goes on with them
    known = tokenizer.convert_tokens_to_ids([START, MIDDLE, END])
    return "chat" if {None, tokenizer.unk_token_id} & set(known) else "markers"


@dataclass(frozen=True)
class Prompt(ABC):
    """What stands around the text of a row, and after the line that answers it."""

    tokenizer: Any

    @property
    @abstractmethod
    def end_id(self) -> int:
        """The token that ends a line."""

    @abstractmethod
    def sources(self, texts: list[str], limit: int) -> Cut:
        """Ids of each text in its prompt, at most ``limit``; a long text loses its end."""

    @abstractmethod
    def targets(self, lines: list[str]) -> list[list[int]]:
        """Ids of each line, with ``end_id`` last."""

    def _checked(self, found: Any) -> int:
        if found is None or found == self.tokenizer.unk_token_id:
            raise InputError(
                f"tokenizer={self.tokenizer.name_or_path}: has no token that ends a target. "
                "Build model and tokenizer with a frtune builder and this task."
            )
        return int(found)


@dataclass(frozen=True)
class PrefixPrompt(Prompt):
    """An encoder-decoder's: a prefix before the text, EOS after text and line."""

    prefix: str

    @property
    def end_id(self) -> int:
        return self._checked(self.tokenizer.eos_token_id)

    def sources(self, texts: list[str], limit: int) -> Cut:
        texts = tokenization.without_special(texts, self.tokenizer)
        return tokenization.framed_sources(texts, self.prefix, self.tokenizer, limit)

    def targets(self, lines: list[str]) -> list[list[int]]:
        found = token_ids(lines, self.tokenizer, special=True)
        return [tokenization.ended(ids, self.end_id) for ids in found]


@dataclass(frozen=True)
class MarkerPrompt(Prompt):
    """A base decoder's: the text between two markers, the line before a third."""

    @property
    def end_id(self) -> int:
        return self._checked(self.tokenizer.convert_tokens_to_ids(END))

    def sources(self, texts: list[str], limit: int) -> Cut:
        markers = self.tokenizer.convert_tokens_to_ids([START, MIDDLE])
        texts = tokenization.without_special(texts, self.tokenizer)
        return tokenization.marked_sources(texts, self.tokenizer, markers, limit)

    def targets(self, lines: list[str]) -> list[list[int]]:
        found = token_ids(lines, self.tokenizer)  # what follows a marker has no beginning
        return [tokenization.ended(ids, self.end_id) for ids in found]


@dataclass(frozen=True)
class ChatPrompt(Prompt):
    """An instruction-tuned decoder's: messages by its own template, an end of turn last."""

    frame: chat.ChatFrame

    @property
    def end_id(self) -> int:
        return self.frame.end_id

    def sources(self, texts: Sequence[str], limit: int) -> Cut:
        return chat.chat_sources(texts, self.frame, self.tokenizer, limit)

    def targets(self, lines: Sequence[str]) -> list[list[int]]:
        return chat.reply_ids(lines, self.frame, self.tokenizer)


def prompt_for(
    name: PromptName, tokenizer: Any, kind: ModelKind, *, prefix: str, instruction: str
) -> Prompt:
    """The prompt of a settled ``name`` (``prompt_name``); ``InputError`` for a bad template."""
    if kind == "encoder-decoder":
        return PrefixPrompt(tokenizer, prefix)
    if name == "markers":
        return MarkerPrompt(tokenizer)
    return ChatPrompt(tokenizer, chat.chat_frame(tokenizer, instruction))
