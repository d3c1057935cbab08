"""The part of the demo page where the rows of a file are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from frtune.demo.session import DemoSession
from frtune.demo.uploads import ENCODINGS, SUFFIXES


def file_tab(gradio: Any, session: DemoSession, first: Any, second: Any) -> list[Any]:
    """Put the tab together; returns the components that are emptied for another model."""
    label = session.language.label
    gradio.Markdown(label("file_help"))
    upload = gradio.File(
        label=label("file"), file_types=list(SUFFIXES), height=150, elem_id="upload"
    )
    encoding = gradio.Dropdown(
        [(label(key), codec) for key, codec in ENCODINGS], value="", label=label("encoding"),
        elem_id="encoding",
    )  # fmt: skip
    with gradio.Row():
        run = gradio.Button(label("run"), variant="primary", elem_id="run_file")
        stop = gradio.Button(label("stop"), variant="stop", elem_id="stop")
    message = gradio.HTML(elem_id="message")
    result = gradio.File(label=label("result"), interactive=False, height=100, elem_id="result")
    progress = gradio.Progress()

    def answer(
        model: str, file: str | None, other: str, encoding: str, request: Any, progress=progress
    ) -> Iterator[tuple[str | None, str]]:
        yield from session.file([model, other], file, encoding, request, progress)

    def end(request: Any) -> str:
        return session.stop(request)

    for function in (answer, end):
        function.__annotations__["request"] = gradio.Request  # Gradio passes what is annotated so
    answer.__doc__ = "Answer for each row of a file: the CSV with the answers, and a message."
    run.click(
        answer, [first, upload, second, encoding], [result, message], api_name="predict_file",
        concurrency_limit=1, concurrency_id="file", show_progress_on=[message],
    )  # fmt: skip
    stop.click(end, None, [message], concurrency_limit=None, show_progress="hidden",
               api_visibility="private")  # fmt: skip
    return [result, message]
