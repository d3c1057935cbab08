"""The board: its tabs, and what each hands to the next."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.board.data_tab import DataTab
from frtune.board.model_tab import ModelTab
from frtune.board.result_tab import ResultTab
from frtune.board.session import BoardSession, with_request
from frtune.board.settings import Gate
from frtune.board.train_tab import TrainTab
from frtune.demo.session import note_html
from frtune.web.launch import load_gradio
from frtune.web.translations import PageLanguage

if TYPE_CHECKING:
    from gradio import Blocks


def build_page(
    root: str | Path, language: PageLanguage, *, gate: Gate, commands: Collection[str]
) -> Blocks:
    """Put the page together.

    Args:
        root: The folder that it works in.
        language: Of ``frtune.board.translations.WORDS``.
        gate: Takes the name of a task and a configuration; raises ``InputError`` as ``frtune train
            TASK --config`` would.
        commands: What can be done next: commands of ``frtune``, and ``curve``.
    """
    gradio = load_gradio()
    session = BoardSession(root, language, gate=gate, commands=commands)
    label = language.label
    with gradio.Blocks(
        title=f"frtune board · {session.folder.root.name}"[:100], analytics_enabled=False,
        delete_cache=(600, 3600),
    ) as page:  # fmt: skip
        heading = gradio.HTML(elem_id="folder")
        with gradio.Tabs():
            with gradio.Tab(label("tab_data"), elem_id="tab_data") as data_place:
                data = DataTab(gradio, session)
            with gradio.Tab(label("tab_model"), elem_id="tab_model") as model_place:
                model = ModelTab(gradio, session)
            with gradio.Tab(label("tab_train"), elem_id="tab_train"):
                train = TrainTab(gradio, session)
            with gradio.Tab(label("tab_result"), elem_id="tab_result") as result_place:
                result = ResultTab(gradio, session)

        def opened(request: Any) -> str:
            say = session.say(request)
            return note_html(say("folder", folder=session.folder.root)) + session.scarce(say)

        with_request(gradio, opened)
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        page.load(opened, None, [heading], **quiet)
        data_place.select(data.refresh, None, [data.file], **quiet)
        model_place.select(model.refresh, None, [model.prepared], **quiet)
        train.connect(page)
        model.connect(train)
        data.connect(model)
        result.connect(result_place)
    return page
