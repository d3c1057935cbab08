"""Fresh processes of Python that start at once: other libraries are imported, frtune is not."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARIES = [
    "accelerate", "bitsandbytes", "datasets", "deepspeed", "peft.tuners.lora.bnb", "scipy.stats",
    "sklearn.metrics", "torch._dynamo", "transformers.trainer_seq2seq",
    "transformers.models.bert.modeling_bert", "transformers.models.camembert.modeling_camembert",
]  # fmt: skip
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(LIBRARIES)
cold = subprocess.run


def run(
    command: Sequence[Any],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run``, of ``python -c PROGRAM ARGUMENT ...`` in a fork of the libraries."""
    if [str(word) for word in command[:2]] != [sys.executable, "-c"]:
        return cold(command, env=env, cwd=cwd, **options)
    assert options == {"capture_output": True, "text": True}, options
    environment, place = dict(env or os.environ), str(cwd or os.getcwd())
    with tempfile.TemporaryDirectory() as folder:
        texts = [Path(folder, name) for name in ("out", "err")]
        words = [str(word) for word in command[2:]]
        process = CONTEXT.Process(target=_child, args=(words, environment, place, texts))
        # a child imports the program that runs, which may be a script of ours
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
        process.join()
        printed = [text.read_text("utf-8") for text in texts]
    return subprocess.CompletedProcess(command, process.exitcode, *printed)


def _child(
    words: list[str], environment: Mapping[str, str], place: str, texts: Sequence[Path]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    for stream, text in enumerate(texts, start=1):
        os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout, sys.stderr = (open(i, "w", encoding="utf-8", closefd=False) for i in (1, 2))
    assert "frtune" not in sys.modules
    program, sys.argv = words[0], ["-c", *words[1:]]
    exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
