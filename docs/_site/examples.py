"""Griffe knows a section ``Examples:`` of doctests; the docstrings here write ``Example:``."""

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Renames the section before it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object with its docstring still unread."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
