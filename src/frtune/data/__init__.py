"""Reading, cleaning, auditing and splitting data.

What ``__init__.pyi`` names loads on first use: one text is answered without ``datasets``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
