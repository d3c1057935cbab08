"""Pages that stand alone: one HTML file, everything inside, nothing fetched, all text escaped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from frtune.plotting import rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(template: str, **values: Any) -> str:
    """Fill in ``template``, a path below the package; values are escaped, a missing one fails."""
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page.filters["breakable"] = breakable
    return page.get_template(template).render(**values)


def breakable(name: str) -> Markup:
    """A name, escaped, in which a line may break behind each underscore.

    Example:
        >>> breakable("f1_<b>")
        Markup('f1_<wbr>&lt;b&gt;')
    """
    return Markup("_<wbr>").join(name.split("_"))


def figure_data(figure: Figure) -> str:
    """A figure as SVG in base64, for ``data:image/svg+xml``."""
    return base64.b64encode(rendered(figure, "svg")).decode("ascii")
