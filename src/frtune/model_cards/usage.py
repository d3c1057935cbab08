"""How a card says that frtune opens the directory."""

from __future__ import annotations

import json
import shlex

from frtune.model_cards import markdown
from frtune.tasks.base import Task


def literal(text: str) -> str:
    """Text as Python writes it, with the quotation marks of JSON."""
    return json.dumps(text, ensure_ascii=False)


def use_lines(task: Task, name: str) -> str:
    """Python and a command for a directory of that name."""
    pair = len(task.text_columns) > 1
    first, second = task.text_columns[0], task.text_columns[-1]
    texts = '"..."'
    if pair:
        texts = f"{{{literal(first)}: {texts}, {literal(second)}: {texts}}}"
    python = f"import frtune\n\nmodel = frtune.load({literal(name)})\nmodel.predict([{texts}])"
    command = f'frtune predict {shlex.quote(name)} --text "..."' + ' --text-pair "..."' * pair
    return f"{markdown.block(python, 'python')}\n{markdown.block(command, 'bash')}"
