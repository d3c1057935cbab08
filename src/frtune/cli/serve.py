"""``frtune serve DIR``: an HTTP API by which saved models answer."""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Literal

from frtune.cli.arguments import Parser, made, options_of
from frtune.http_api.settings import BatchSettings, Limits, ServerSettings


@dataclass(frozen=True)
class Options:
    """Which models answer, and how.

    Attributes:
        directories: What frtune train left.
        dtype: Type of the weights (default: 16 bits for large models on a GPU, else fp32).
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, where the family bears it).
        num_beams: Beams of the search, where text is written (default: the model's, mostly 1).
        max_target_tokens: Tokens written at most (default: the model's).
        scores: Keyphrases: give each a score.
        min_score: Least score of a keyword or keyphrase (default: none).
        top_k: Of each text at most, of the highest scores (default: all).
        present_only: Keyphrases: those alone that stand in the text.
    """

    directories: list[str] = field(metadata={"metavar": "DIR"})
    dtype: Literal["fp32", "bf16", "fp16"] | None = None
    bf16: bool | None = None
    fp16: bool | None = None
    num_beams: int | None = None
    max_target_tokens: int | None = None
    scores: bool = False
    min_score: float | None = None
    top_k: int | None = None
    present_only: bool = False


def main(argv: list[str]) -> None:
    """Parse ``argv``, open the models, answer requests until SIGTERM or Ctrl-C."""
    parser = Parser(
        prog="frtune serve",
        description="Serve an HTTP API by which saved models answer: POST /v1/MODEL/predict, where "
        "MODEL is a directory's name, takes a text or several and gives what frtune predict gives. "
        "Requests that come together are computed together. /docs describes the API.",
        epilog="The environment variable FRTUNE_API_KEYS holds the keys that may ask, separated by "
        "blanks; without it everyone may who reaches the server.",
    )
    parser.add_options("models and answers", options_of(Options, positional=["directories"]))
    parser.add_options("server", options_of(ServerSettings))
    parser.add_options("requests", options_of(Limits) | options_of(BatchSettings))
    parsed = parser.parse(argv)
    chosen = asdict(made(Options, parsed))
    chosen |= {name: chosen[name] or None for name in ("scores", "present_only")}
    _server().serve(
        chosen.pop("directories"),
        made(ServerSettings, parsed),
        limits=made(Limits, parsed),
        batching=made(BatchSettings, parsed),
        **chosen,
    )


def _server() -> ModuleType:
    """Import what needs the extra.

    Raises:
        ImportError: If it is missing; names the extra.
    """
    try:
        return importlib.import_module("frtune.http_api.server")
    except ModuleNotFoundError as error:
        raise ImportError("The API needs FastAPI: pip install 'frtune[serve]'.") from error
