"""What Prometheus reads of a server: a registry of its own, so that two servers in one process do not mix."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from liftgate.deploy.serving.answers import Answer

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class ServerMetrics:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "liftgate_requests", "Requests by route and status", ["route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "liftgate_request_seconds", "From the headers to the answer", ["route"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._stages = Histogram(
            "liftgate_stage_seconds", "Stages of an image: receive, wait, decode, detect", ["stage"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._detections = Counter(
            "liftgate_detections", "Detections by class and version", ["name", "version"], registry=self.registry
        )
        self._confidence = Histogram(
            "liftgate_confidence", "Confidence of detections", ["version"],
            buckets=_CONFIDENCES, registry=self.registry,
        )  # fmt: skip
        self.shed = Counter("liftgate_shed", "Requests refused because the queue was full", registry=self.registry)
        self.waiting = Gauge("liftgate_waiting", "Images in the queue", registry=self.registry)
        self.swaps = Counter("liftgate_swaps", "Exchanges of the model", ["result"], registry=self.registry)
        self._model = Gauge("liftgate_model", "1 for the version in use", ["version", "hash"], registry=self.registry)

    def use(self, version: str, model_hash: str) -> None:
        """Note the version in use."""
        self._model.clear()
        self._model.labels(version, model_hash[:16]).set(1)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def detected(self, answer: Answer) -> None:
        """Count what an answer holds."""
        times = answer.timings_ms
        for stage, milliseconds in (
            ("receive", times.receive), ("wait", times.wait), ("decode", times.decode), ("detect", times.detect),
        ):  # fmt: skip
            self._stages.labels(stage).observe(milliseconds / 1000)
        for one in answer.detections:
            self._detections.labels(one.cls, answer.model_version).inc()
            self._confidence.labels(answer.model_version).observe(one.confidence)

    def text(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self.registry)
