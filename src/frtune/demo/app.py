"""The demo page: its parts, and what happens when the model changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from frtune.demo.file_tab import file_tab
from frtune.demo.models import PageModel
from frtune.demo.session import DemoSession
from frtune.demo.text_tab import TextTab
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks


def build_page(
    models: Mapping[str, PageModel], language: PageLanguage, *, defuse: bool = True
) -> Blocks:
    """Put the page together.

    Args:
        models: As ``open_models`` returns them; the first is the one that the page opens with.
        language: Of ``WORDS``.
        defuse: Put ``'`` before cells of answers that a spreadsheet would take for formulas.
    """
    gradio = load_gradio()
    session = DemoSession(models, language, defuse=defuse)
    label, names = language.label, list(models)
    head = {"title": " · ".join(["frtune", *names])[:100], "fill_width": False}
    with gradio.Blocks(**head, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gradio.Markdown(label("heading"))
        with gradio.Row():
            first = gradio.Dropdown(names, value=names[0], label=label("model"), elem_id="model",
                                    min_width=300)  # fmt: skip
            second = gradio.Dropdown(
                _partners(session, names[0]), value="", label=label("second"), elem_id="second",
                visible=len(names) > 1, min_width=300,
            )  # fmt: skip
        about = gradio.HTML(elem_id="about")
        with gradio.Tabs():
            with gradio.Tab(label("one_text")):
                text = TextTab(gradio, session, first, second)
            with gradio.Tab(label("one_file")):
                of_file = file_tab(gradio, session, first, second)
        _connect(gradio, session, page, (first, second, about), text, of_file)
        gradio.api(session.predict, api_name="predict", concurrency_limit=1, concurrency_id="model")
        gradio.api(session.list_models, api_name="models")
    return page


def _partners(session: DemoSession, name: str) -> list[Any]:
    return [(session.language.label("nothing"), ""), *session.partners(name)]


def _connect(
    gradio: Any, session: DemoSession, page: Any, head: Any, text: TextTab, of_file: list[Any]
) -> None:
    """Have the page say what its models are, and forget answers of those that it had before."""
    first, second, about = head

    def facts(name: str, other: str, request: Any) -> str:
        return session.about([name, other], request)

    def change(name: str, request: Any) -> list[Any]:
        partners = _partners(session, name)
        other = gradio.Dropdown(partners, value="", visible=len(partners) > 1)
        told = session.about([name], request)
        return [other, told, *text.redraw(session.model(name)), None, ""]

    def compare(name: str, other: str, request: Any) -> list[Any]:
        return [session.about([name, other], request), *text.empty()[:3], None, ""]

    for function in (facts, change, compare):
        function.__annotations__["request"] = gradio.Request  # passed where annotated so
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    page.load(facts, [first, second], [about], **quiet)
    first.input(change, [first], [second, about, *text.redrawn, *of_file], **quiet)
    second.input(compare, [first, second], [about, *text.emptied[:3], *of_file], **quiet)
