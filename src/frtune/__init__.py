"""Fine-tune language models for keyphrases, keywords, similarity and classification.

Public names load on first use, so that ``import frtune`` pulls in neither torch nor transformers.
``__init__.pyi`` says where each one stands, for type checkers too.
"""

import importlib
import sys

import lazy_loader


class _MovedFinder:
    """Finds import paths of 0.1.0, after Python's finders; their table loads when one is met."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("frtune."):
            return importlib.import_module("frtune.moved").find_spec(name)
        return None


_homes: dict[str, list[str]] = {}
# lazy_loader.attach_stub reads the same, but by ast, which takes longer than all the rest here
with open(f"{__path__[0]}/__init__.pyi", encoding="utf-8") as _stub:
    for _line in _stub:
        if _line.startswith("from ."):
            _, _module, _, _name, *_ = _line.split()
            _homes.setdefault(_module[1:], []).append(_name)

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_homes)
sys.meta_path.append(_MovedFinder)
