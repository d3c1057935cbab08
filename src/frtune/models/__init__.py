"""Model families, the one road that builds them, and tiny checkpoints of each.

What ``__init__.pyi`` names loads on first use: full weights open without PEFT.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
