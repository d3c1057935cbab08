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
        directories: Model directory, as frtune train writes it.
        dtype: Type of the weights (default: 16 bits for large models on a GPU, else fp32).
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, if the family allows it).
        num_beams: Beams, for generated text (default: the model's, mostly 1).
        max_target_tokens: Most generated tokens (default: the model's).
        scores: Keyphrases: add a score for each.
        min_score: Lowest score of a keyword or keyphrase (default: no limit).
        top_k: Keep the N best of each text (default: all).
        present_only: Keyphrases: only those that occur in the text.
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
        description="Serve an HTTP API that answers with saved models. POST /v1/MODEL/predict "
        "takes one text or several, and gives the answers of frtune predict; MODEL is "
        "the name of a directory. Requests at the same time are computed in one "
        "batch. /docs describes the API.",
        epilog="The environment variable FRTUNE_API_KEYS has the accepted keys, separated by "
        "spaces. Without it, everyone who can reach the server may use it.",
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
