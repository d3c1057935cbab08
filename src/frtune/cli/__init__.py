"""The program ``frtune``: finds the subcommand, runs it, turns errors into a line and a code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NoReturn

from frtune.environment.process import keep_freed_memory, wait_briefly
from frtune.errors import InputError, RunStopped, nearest
from frtune.version import __version__

COMMANDS = {
    "train": "train a model, keep the best checkpoint, test it",
    "evaluate": "score a saved model directory",
    "predict": "answer for one text or for a file",
    "prepare": "read, clean, audit and split a data set",
    "quantize": "make a finished model smaller, in 8 or 4 bits",
    "compare": "saved models side by side: scores, size, speed, memory",
    "preflight": "live through a training run in a minute, on a miniature, before it",
    "plan": "say which ways of training fit in the memory at hand",
    "study": "what fine-tuning does to hidden states, layer by layer",
    "label": "label texts with a language model's answers",
    "demo": "a local page on which saved models answer",
    "rate": "a local page where people judge predictions, blind",
}

# commands that compute with a model on batches of many lengths
COMPUTING = {"train", "evaluate", "predict", "compare", "preflight", "demo"}
EXIT_DONE, EXIT_FAILED, EXIT_BAD_INPUT = 0, 1, 2


class Parser(argparse.ArgumentParser):
    """A parser that raises ``InputError`` and names the option nearest to an unknown one."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise ``InputError``, where argparse would print its usage and exit."""
        raise InputError(f"{message}. See {self.prog} --help.")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Parse ``argv``; an unknown flag is an ``InputError``."""
        found, unknown = self.parse_known_args(argv)
        if unknown:
            flag = unknown[0].split("=")[0]
            known = [name for name in self._option_string_actions if name.startswith("--")]
            raise InputError(
                f"{flag}: no such option of {self.prog}.{nearest(flag, known)} "
                f"See {self.prog} --help."
            )
        return found


def _usage() -> str:
    rows = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return (
        "usage: frtune COMMAND [options]\n\n"
        "Fine-tune language models on the Hugging Face Trainer.\n\n"
        f"commands:\n{rows}\n\n"
        "options:\n"
        "  -h, --help  this text; frtune COMMAND --help tells a command's options\n"
        "  --version   print the version\n"
        "  --debug     show the traceback of an error\n\n"
        "exit codes: 0 done, 2 bad input, 1 anything else; 130 after Ctrl-C, 143 after SIGTERM,\n"
        "at which frtune train first finishes its step and saves a checkpoint for --resume\n"
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
    wait_briefly()
    if name in COMPUTING:
        keep_freed_memory()
    return importlib.import_module(f"frtune.cli.{name}").main(rest) or EXIT_DONE


def main(argv: list[str] | None = None) -> int:
    """Run ``frtune`` and return its exit code.

    0 done; 2 bad input; 130 and 143 stopped by SIGINT and SIGTERM; 1 anything else.
    """
    argv, debug = _take_debug(list(sys.argv[1:] if argv is None else argv))
    try:
        return _dispatch(argv)
    except RunStopped as stop:
        message, code = stop.message, int(str(stop.code))
    except KeyboardInterrupt:
        message, code = "interrupted", 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except InputError as error:
        if debug:
            raise
        message, code = str(error), EXIT_BAD_INPUT
    except Exception as error:
        if debug:
            raise
        message = f"{type(error).__name__}: {error} (--debug shows the traceback)"
        code = EXIT_FAILED
    sys.stderr.write(f"frtune: {' '.join(message.split())}\n")
    return code
