"""How a card says that frtune opens the directory."""

from __future__ import annotations

import json
import shlex

from frtune.model_cards import markdown
from frtune.tasks.base import Task


def use_lines(task: Task, name: str) -> str:
    """Python and a command for a directory of that name."""
    pair = len(task.text_columns) > 1
    first, second = task.text_columns[0], task.text_columns[-1]
    texts = '"..."'
    if pair:
        texts = f"{{{json.dumps(first)}: {texts}, {json.dumps(second)}: {texts}}}"
    python = (
        "import frtune\n\n"
        f"model = frtune.load({json.dumps(name, ensure_ascii=False)})\n"
        f"model.predict([{texts}])"
    )
    command = f'frtune predict {shlex.quote(name)} --text "..."' + ' --text-pair "..."' * pair
    return f"{markdown.block(python, 'python')}\n{markdown.block(command, 'bash')}"
