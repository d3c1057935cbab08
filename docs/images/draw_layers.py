"""Draw ``layers.svg``: the layers that ``make check`` holds, as ``pyproject.toml`` lists them.

Usage: python docs/images/draw_layers.py
"""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
# what a layer is for; a layer without a line here stops the drawing
PURPOSES = {
    "__main__": "python -m frtune",
    "cli": "the commands: each a thin call of the library",
    "board": "one page over all of it; its runs are other processes",
    "demo | preflight | rating | review | http_api": "pages, an API; a run on a miniature",
    "comparison | labelling | planning | runs | study | tuning | web": "work on models and on data",
    "model_export | predictions | run": "graphs; scores of any answers; one run and its report",
    "evaluation | model_quantization": "scores of a directory; its int8 and nf4",
    "model_cards | score_files": "README.md; metrics.json, predictions.jsonl and the like",
    "inference_precision": "the type that a saved model answers in",
    "inference": "frtune.load: answers of a directory",
    "training": "the two trainers, checkpoints, batches, MixUp",
    "models": "families, builders, LoRA, quantisation, loading, proofs",
    "tasks": "the contract of a task, and the tasks",
    "metrics": "scores: pure functions on lists",
    "data": "reading, cleaning, auditing, splitting",
    "outputs": "places that are written to, tried before the work",
    "environment | files | html": "the machine; whole files, one run a directory; HTML",
    "names | plotting | ranges | words": "short names; figures; numbers of settings; words",
    "errors | failures | moved | version": "bad input; what the machine refuses; old names",
}
WIDTH, HEIGHT, LEFT, TOP = 860, 40, 20, 20


def layers(project: str) -> list[str]:
    """Layers in ``pyproject.toml``, from the top."""
    found = re.search(r"^layers = (\[.*?^\])", project, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit("pyproject.toml: has no layers. Add them under tool.importlinter.")
    return ast.literal_eval(found[1])


def drawn(names: list[str]) -> str:
    """The picture: a box for each layer, and an arrow from the top to the ground."""
    height = TOP * 2 + HEIGHT * len(names)
    style = "font-family='sans-serif' fill='#1a1a1a'"
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img'>",
        "<title>The layers of frtune: each imports only what stands below it</title>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
    ]
    for i, name in enumerate(names):
        y = TOP + HEIGHT * i
        shade = 96 - 24 * i // len(names)
        lines += [
            f"<rect x='{LEFT}' y='{y}' width='{WIDTH - 80}' height='{HEIGHT - 6}' rx='5' "
            f"fill='hsl(215, 60%, {shade}%)' stroke='#5470a0'/>",
            f"<text x='{LEFT + 14}' y='{y + 22}' font-size='14' font-weight='bold' {style}>"
            f"{escape(name)}</text>",
            f"<text x='{LEFT + 420}' y='{y + 22}' font-size='13' {style}>"
            f"{escape(PURPOSES[name])}</text>",
        ]
    x, end = WIDTH - 32, height - TOP - 6
    lines += [
        f"<path d='M {x} {TOP} V {end - 10}' stroke='#5470a0' stroke-width='3'/>",
        f"<path d='M {x - 8} {end - 12} L {x} {end} L {x + 8} {end - 12} Z' fill='#5470a0'/>",
        f"<text x='{x - 6}' y='{height / 2}' font-size='13' {style} text-anchor='middle' "
        f"transform='rotate(90 {x - 6} {height / 2})' dy='-14'>imports</text>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    picture = drawn(layers(PROJECT.read_text(encoding="utf-8")))
    (HERE / "layers.svg").write_text(picture, encoding="utf-8", newline="\n")
