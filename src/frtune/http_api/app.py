"""The API: what it takes and gives, and its pages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from frtune.errors import InputError, nearest
from frtune.files import json_text
from frtune.html import render
from frtune.http_api.batcher import Busy
from frtune.http_api.measures import Measures
from frtune.http_api.models import ServedModel
from frtune.http_api.problems import Problem, ProblemType
from frtune.version import __version__

logger = logging.getLogger(__name__)

Name = Annotated[str, Path(description="The last part of the model's directory.")]


class Question(BaseModel):
    """One text, or several."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = Field(None, description="A text to answer for; or texts.")
    text_pair: str | None = Field(None, description="Its second text, of a model that compares.")
    title: str | None = Field(None, description="Its title, where the model reads one.")
    texts: list[str] | None = Field(None, description="Texts to answer for; or text.")
    text_pairs: list[str] | None = Field(None, description="The second text of each.")
    titles: list[str | None] | None = Field(None, description="The title of each, or null.")


class ErrorDetail(BaseModel):
    """What is wrong."""

    type: ProblemType
    message: str


class ErrorBody(BaseModel):
    """The body of every response that is no answer."""

    error: ErrorDetail


class ModelInfo(BaseModel):
    """A model that is served."""

    name: str
    task: str
    takes_pairs: bool
    takes_titles: bool
    max_characters: int
    max_texts: int


_ANSWER = {
    "description": "What frtune predict prints: an object for text, a list of them for texts.",
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]
            },
            "example": {"text": "The council voted.", "keyphrases": ["council"]},
        }
    },
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text}
    for status, text in {
        400: "The body is no JSON.",
        401: "The key is missing or wrong.",
        404: "There is no such model.",
        408: "The request came too slowly.",
        413: "The request is too large.",
        421: "The Host header names another host.",
        422: "The body holds something else than texts, too many, too long ones or blank ones.",
        429: "Too many texts are waiting; Retry-After says when to ask again.",
        500: "The model failed on a text.",
        503: "The server is stopping.",
    }.items()
}


def build_app(models: Mapping[str, ServedModel], measures: Measures) -> FastAPI:
    """Put the API together.

    Args:
        models: As ``open_models`` returns them; they are closed when the server stops.
        measures: Takes what ``/metrics`` tells.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for model in models.values():
            await asyncio.to_thread(model.batcher.close)

    app = FastAPI(
        title="frtune", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Saved models answer for texts.", responses=_ERRORS,
    )  # fmt: skip
    _add_predict(app, models, measures)
    _add_states(app, models, measures)
    _add_pages(app)
    _add_errors(app)
    return app


def _add_predict(app: FastAPI, models: Mapping[str, ServedModel], measures: Measures) -> None:
    @app.post("/v1/{model}/predict", responses={200: _ANSWER}, response_class=Response)
    async def predict(model: Name, question: Question) -> Response:
        """Answer for one text, or for several, as frtune predict does."""
        if model not in models:
            near = nearest(model, [*models])
            raise Problem("unknown_model", f"There is no such model.{near} See /v1/models.")
        start = time.perf_counter()
        found = models[model]
        status, texts = 500, 0
        try:
            rows = _rows(found, question)
            texts = len(rows)
            answers = await asyncio.wrap_future(found.batcher.ask(rows)) if rows else []
            status = 200
        except Busy as busy:
            status = 429 if found.batcher.works else 503
            raise _refused(busy, status) from None
        except Problem as problem:
            status = problem.status
            raise
        except asyncio.CancelledError:  # the time for a stop is over
            status = 503
            raise _refused(Busy(0, 1), status) from None
        except InputError as error:
            status = 422
            raise Problem("invalid", str(error)) from None
        except Exception as error:
            logger.exception("%s failed on %d texts", model, texts)
            raise Problem("failed", "The model failed on this text.") from error
        finally:
            seconds = time.perf_counter() - start
            measures.answered(model, status=status, seconds=seconds, texts=texts)
        content = answers if question.text is None else answers[0]
        return Response(json_text(content), media_type="application/json")


def _rows(model: ServedModel, question: Question) -> list[dict[str, Any]]:
    """The rows of a question, whose fields go together."""
    one, several = question.text is not None, question.texts is not None
    if one is several:
        raise Problem("invalid", "text, texts: give one of them.")
    extra = ("text_pairs", "titles") if one else ("text_pair", "title")
    for name in extra:
        if getattr(question, name) is not None:
            wanted = name[:-1] if one else f"{name}s"
            raise Problem(
                "invalid", f"{name}: goes with {'texts' if one else 'text'}. Give {wanted}."
            )
    if question.texts is not None:
        return model.rows(question.texts, question.text_pairs, question.titles)
    pairs = None if question.text_pair is None else [question.text_pair]
    titles = None if question.title is None else [question.title]
    return model.rows([question.text or ""], pairs, titles)


def _refused(busy: Busy, status: int) -> Problem:
    if status == 503:
        return Problem(
            "stopping", "The server is stopping. Ask again later.", {"Connection": "close"}
        )
    return Problem("busy", str(busy), {"Retry-After": str(busy.seconds)})


def _add_states(app: FastAPI, models: Mapping[str, ServedModel], measures: Measures) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        """Whether every model answers; 503 where one does not, or the server is stopping."""
        if not all(model.batcher.works for model in models.values()):
            raise Problem("stopping", "Not every model answers.")
        return {"status": "ready"}

    @app.get("/v1/models")
    async def list_models() -> list[ModelInfo]:
        """The models that are served."""
        return [
            ModelInfo(
                name=name,
                task=model.task.name,
                takes_pairs=len(model.task.text_columns) == 2,
                takes_titles=model.task.title_column is not None,
                max_characters=model.limits.max_characters,
                max_texts=model.limits.max_texts,
            )
            for name, model in models.items()
        ]

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(measures.text(models), media_type="text/plain; version=0.0.4")


def _add_pages(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        page = render("http_api/docs.html.jinja", schema=app.openapi())
        return Response(page, media_type="text/html; charset=utf-8")


def _add_errors(app: FastAPI) -> None:
    def told(problem: Problem) -> Response:
        return Response(
            json_text(problem.content()), problem.status, problem.headers, "application/json"
        )

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return told(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return told(Problem("bad_json", "The body is no JSON in UTF-8."))
        place = ".".join(map(str, first["loc"][1:]))
        if not place:
            way = 'Send {"text": ...} with Content-Type: application/json.'
            return told(Problem("invalid", f"The body is no JSON object. {way}"))
        return told(Problem("invalid", f"{place}: {first['msg']}."))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return told(Problem("not_found", "There is no such page. See /docs."))
        if error.status_code == 405:
            return told(
                Problem("bad_method", "Not with this method. See /docs.", dict(error.headers or {}))
            )
        return told(Problem("bad_json", "The body is no JSON in UTF-8."))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return told(Problem("failed", "The model failed on this text."))
