"""What ``frtune prepare`` would make of a file, without keeping it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from frtune.board.folder import BoardFolder
from frtune.board.proposal import Choices
from frtune.data.prepare import prepare
from frtune.errors import InputError
from frtune.files import draft_folder, json_text

_EXAMPLES = 8  # of rejected rows


@dataclass(frozen=True)
class Preview:
    """What would become of the rows.

    Attributes:
        audit: As ``audit.json``.
        rejected: The first rejected rows: ``reason``, ``detail``, ``row``.
    """

    audit: dict[str, Any]
    rejected: list[dict[str, Any]]


def preview(folder: BoardFolder, choices: Choices) -> Preview:
    """Prepare a file into a folder that goes at once.

    Raises:
        InputError: As ``frtune prepare`` does, with the file as the page names it.
    """
    path = folder.inside(choices.data)
    try:
        with draft_folder() as work:
            output = work / "out"
            audit = prepare(
                path, output, choices.made(), encoding=choices.encoding or None, num_proc=1
            )
            with (output / "rejected.jsonl").open(encoding="utf-8") as lines:
                rejected = [
                    json.loads(line.replace(json_text(str(path))[1:-1], choices.data))
                    for line in islice(lines, _EXAMPLES)
                ]
    except InputError as error:
        raise InputError(str(error).replace(str(path), choices.data)) from None
    return Preview(audit, rejected)
