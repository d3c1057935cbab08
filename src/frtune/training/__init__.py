"""What the Trainer lacks: arguments, loss, order, generation in evaluation.

What ``__init__.pyi`` names loads on first use: a few texts are answered without ``datasets``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
