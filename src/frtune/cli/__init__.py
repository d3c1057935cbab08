"""The program ``frtune``: finds the subcommand, runs it, turns errors into a line and a code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable

from frtune.environment.launcher import (
    DEBUG,
    is_lost_peer,
    leave_launch,
    place_in_launch,
    tell_launcher,
)
from frtune.environment.process import keep_freed_memory, uncollected, wait_briefly
from frtune.environment.startup import leave_out_messages
from frtune.errors import InputError, RunStopped, first_line, nearest
from frtune.failures import failure_line
from frtune.version import __version__

GROUPS = {
    "one page": {
        "board": "a local page from a file to a model in use: data, settings, training, results",
    },
    "data": {
        "prepare": "read, clean, audit and split a data set",
        "label": "label texts with a language model's answers",
        "review": "find labels that are probably wrong, and correct them on a local page",
    },
    "train": {
        "plan": "say which ways of training fit in memory, and with which flags",
        "preflight": "test a training run in a minute, on a tiny model, before it starts",
        "train": "train a model, keep the best checkpoint, score it on the test rows",
        "tune": "search training settings for your data, on the validation rows",
    },
    "use": {
        "predict": "answer for one text or for a file",
        "evaluate": "score a saved model, or a file of answers",
        "quantize": "make a saved model smaller, in 8 or 4 bits",
        "export": "write a saved model as a graph for ONNX Runtime",
        "demo": "a local page on which saved models answer",
        "serve": "an HTTP API that answers with saved models, many requests at once",
    },
    "compare": {
        "runs": "all runs below a folder in one table: settings, scores, state",
        "compare": "saved models side by side: scores, size, speed, memory",
        "study": "what fine-tuning changes in the hidden states, layer by layer",
        "rate": "a local page where people judge predictions, blind",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}

# commands that compute with a model on batches of many lengths
COMPUTING = {
    "train", "tune", "evaluate", "predict", "compare", "preflight", "demo", "serve", "review",
    "board",
}  # fmt: skip
# commands whose processes, where a launcher started several, work together
SHARED = {"train", "preflight", "predict", "evaluate"}
# commands that compute in one process, on one of several GPUs
ONE_DEVICE = {"tune", "compare", "study", "quantize", "export", "demo", "serve", "review"}
_ENDED_SECONDS = 10  # in which a launcher ends the processes that one left behind
_LONGEST = 300  # characters of a word in a message: a label of 5,000 digits is cut

EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT = 0, 1, 2


def _usage() -> str:
    groups = "\n".join(
        f"{title}:\n" + "".join(f"  {name:<10} {text}\n" for name, text in group.items())
        for title, group in GROUPS.items()
    )
    return (
        "usage: frtune COMMAND [options]\n\n"
        "Fine-tune language models on the Hugging Face Trainer.\n\n"
        f"{groups}\n"
        "options:\n"
        "  -h, --help  this text; frtune COMMAND --help shows the options of a command\n"
        "  --version   print the version\n"
        "  --debug     show the traceback of an error\n\n"
        "exit codes: 0 done, 2 bad input, 1 any other error; 130 after Ctrl-C, 143 after SIGTERM:\n"
        "frtune train first finishes its step and saves a checkpoint for --resume\n"
    )


def _take_debug(argv: list[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out; with a value behind it, it is the training argument of that name."""
    kept = [
        word
        for i, word in enumerate(argv)
        if word != "--debug" or (0 < i < len(argv) - 1 and not argv[i + 1].startswith("-"))
    ]
    return kept, len(kept) < len(argv)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return EXIT_DONE if argv else EXIT_BAD_INPUT
    if argv[0] == "--version":
        sys.stdout.write(f"frtune {__version__}\n")
        return EXIT_DONE
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        kind = "option" if name.startswith("-") else "command"
        raise InputError(
            f"{name}: no such {kind} of frtune.{nearest(name, list(COMMANDS))} See frtune --help."
        )
    if not _works_here(name, rest):
        return EXIT_DONE
    if any(word.startswith("--config") for word in rest):
        importlib.import_module("frtune.cli.config_file").check_config_files(rest)
    wait_briefly()
    if name in COMPUTING:
        keep_freed_memory()
    leave_out_messages()
    module = f"frtune.cli.{name}"
    with contextlib.nullcontext() if module in sys.modules else uncollected():
        command = importlib.import_module(module)
    if name in ONE_DEVICE:
        importlib.import_module("frtune.cli.launch").use_one_device()
    return command.main(rest) or EXIT_DONE


def _works_here(name: str, words: list[str]) -> bool:
    """Whether this process does the command: of several, the first alone does most of them."""
    rank, processes = place_in_launch()
    if processes == 1 or (name in SHARED and not {"-h", "--help", "--help-all"} & {*words}):
        return True
    if rank > 0:
        return False
    leave_launch()
    sys.stderr.write(
        f"frtune {name}: one process does this; the other {processes - 1} ended at once. "
        f"Only {', '.join(sorted(SHARED))} share their work.\n"
    )
    return True


def main(argv: list[str] | None = None) -> int:
    """Run ``frtune`` and return its exit code.

    0 done; 2 bad input; 130 and 143 stopped by SIGINT and SIGTERM; 1 anything else.
    """
    argv, debug = _take_debug(list(sys.argv[1:] if argv is None else argv))
    os.environ.pop(DEBUG, None)
    if debug:
        os.environ[DEBUG] = "1"
    try:
        return exit_code(lambda: _dispatch(argv), name="frtune", debug=debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
            return EXIT_FAILED
        if line := failure_line(error):
            return _told("frtune", line, EXIT_FAILED)
        return _told("frtune", f"{type(error).__name__}: {error} (--debug shows the traceback)", 1)


def exit_code(
    program: Callable[[], int | None], *, name: str | None = None, debug: bool = False
) -> int:
    """Run a program, print its error in one line, and return its exit code.

    Args:
        program: Returns its exit code, or ``None`` when it is done.
        name: What the line begins with; ``None`` takes the script's name.
        debug: Show the traceback of an ``InputError``, above its line.

    Returns:
        0 done; 2 bad input; 130 and 143 stopped by SIGINT and SIGTERM; 1 where another process of
        the launch ended first. Other errors are raised.
    """
    name = name or os.path.basename(sys.argv[0])
    try:
        return program() or EXIT_DONE
    except RunStopped as stop:
        return _told(name, stop.message, int(str(stop.code)))
    except KeyboardInterrupt:
        return _told(name, "interrupted", 130)
    except InputError as error:
        if debug:
            traceback.print_exc()
        return _told(name, str(error), EXIT_BAD_INPUT)
    except RuntimeError as error:
        if debug or not is_lost_peer(error):
            raise
        # what the other one said is the reason: its launcher ends this process meanwhile
        time.sleep(_ENDED_SECONDS)
        lost = "another process of the run ended first, and its line says why"
        sys.stderr.write(f"{name}: process {place_in_launch()[0]}: {lost} ({first_line(error)})\n")
        return EXIT_FAILED


def _told(name: str, message: str, code: int) -> int:
    words = (word if len(word) < _LONGEST else f"{word[:40]}..." for word in message.split())
    line = f"{name}: {' '.join(words)}"
    if code not in (EXIT_FAILED, EXIT_BAD_INPUT) or not tell_launcher(line):
        sys.stderr.write(f"{line}\n")
    return code
