"""What ``/metrics`` tells Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from frtune.http_api.models import ServedModel

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Measures:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        given: dict[str, Any] = {"registry": self.registry}
        model = ["model"]
        self.requests = Counter(
            "frtune_requests", "Requests by status", [*model, "status"], **given
        )
        self.seconds = Histogram(
            "frtune_request_seconds",
            "From a request to its answer",
            model,
            buckets=_SECONDS,
            **given,
        )
        self.texts = Counter("frtune_texts", "Texts answered", model, **given)
        self.batches = Histogram(
            "frtune_batch_texts", "Texts computed at once", model, buckets=_TEXTS, **given
        )
        self.waiting = Gauge("frtune_waiting_texts", "Texts that wait", model, **given)

    def batch(self, model: str, texts: int) -> None:
        """Note a batch."""
        self.batches.labels(model).observe(texts)

    def answered(self, model: str, *, status: int, seconds: float, texts: int) -> None:
        """Note a request that was answered, or refused."""
        self.requests.labels(model, str(status)).inc()
        if status == 200:
            self.seconds.labels(model).observe(seconds)
            self.texts.labels(model).inc(texts)

    def text(self, models: Mapping[str, ServedModel]) -> bytes:
        """All of them, in Prometheus' format."""
        for name, model in models.items():
            self.waiting.labels(name).set(model.batcher.waiting)
        return generate_latest(self.registry)
