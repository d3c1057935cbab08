"""``frtune quantize DIR --output D``: a finished model in 8 or 4 bits."""

from __future__ import annotations

from dataclasses import dataclass, field

from frtune.cli.arguments import Parser, made, options_of
from frtune.model_quantization import METHODS, Method, quantize


@dataclass(frozen=True)
class Options:
    """What is quantised, and how.

    Attributes:
        directory: Model directory, as frtune train writes it.
        output: A new directory.
        method: How; see below.
        proof: Do not try it in a fresh process.
    """

    directory: str = field(metadata={"metavar": "DIR"})
    output: str = field(metadata={"metavar": "D"})
    method: Method = "int8"
    proof: bool = True


def main(argv: list[str]) -> None:
    """Parse ``argv``, quantise, say what came of it."""
    parser = Parser(
        prog="frtune quantize",
        description="Make a saved model smaller, to about a quarter of its size. frtune predict, "
        "evaluate, compare and frtune.load open the new directory. An adapter is "
        "merged first; the head stays in full precision.",
        epilog="methods: " + "; ".join(f"{name}: {text}" for name, text in METHODS.items()),
    )
    parser.add_options("model", options_of(Options, positional=["directory"]))
    chosen = made(Options, parser.parse(argv))
    found = quantize(chosen.directory, chosen.output, method=chosen.method, proof=chosen.proof)
    before, after = (found[f"size_{name}_bytes"] / 2**20 for name in ("before", "after"))
    print(f"weights: {before:.1f} MiB before, {after:.1f} MiB after ({found['layers']} layers)")
    apart, most = found["max_logit_difference"], found["max_logit"]
    print(f"logits on probe texts: {apart:.3g} apart at most, of {most:.3g}")
    if found["same_choice"] is not None:
        print(f"same choice on probe texts: {found['same_choice']:.1%}")
    if found["reload_difference"] is not None:
        print(f"proven in a fresh process: logits {found['reload_difference']:.2g} apart at most")
    print(f"model directory: {chosen.output}")
