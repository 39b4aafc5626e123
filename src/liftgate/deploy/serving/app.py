"""The routes of a server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.resources import files

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from liftgate.deploy.serving.answer_log import AnswerLog
from liftgate.deploy.serving.answers import (
    Answer,
    BatchAnswer,
    BatchItem,
    ErrorAnswer,
    Failure,
    ModelAnswer,
    StateAnswer,
    Timings,
    detected_objects,
)
from liftgate.deploy.serving.batching import Batcher, Detected
from liftgate.deploy.serving.champion import ModelInUse
from liftgate.deploy.serving.json_lines import JsonLines
from liftgate.deploy.serving.metrics import ServerMetrics
from liftgate.deploy.serving.openapi import openapi_document
from liftgate.deploy.serving.request_guard import RequestGuard, note
from liftgate.deploy.serving.settings import MOST_IMAGES, ServeAddress, ServeLimits
from liftgate.deploy.serving.uploads import Upload, UploadError, image_id, multipart_uploads
from liftgate.visible import visible_line

_RAW = ("image/jpeg", "image/jpg", "image/png", "application/octet-stream", "")
_MULTIPART = "multipart/form-data"
_LINGER_SECONDS = 1.0
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; img-src blob: data:; connect-src 'self'"
)


@dataclass(frozen=True, slots=True)
class ModelServer:
    """Everything that the routes use."""

    model: ModelInUse
    batcher: Batcher
    limits: ServeLimits
    address: ServeAddress
    metrics: ServerMetrics
    lines: JsonLines
    log: AnswerLog | None = None
    """Keeps what every answer holds; None: nothing is kept"""


def build_app(server: ModelServer) -> Starlette:
    """Return the application of a server."""
    routes = _Routes(server)
    page = files("liftgate.deploy.serving").joinpath("page")
    script, markup = page.joinpath("page.js").read_bytes(), page.joinpath("page.html").read_bytes()
    document = msgspec.json.encode(openapi_document(server.limits, token=server.address.token is not None))

    async def show_page(_: Request) -> Response:
        return Response(markup, media_type="text/html", headers={"content-security-policy": _PAGE_POLICY})

    async def show_script(_: Request) -> Response:
        return Response(script, media_type="text/javascript")

    async def show_document(_: Request) -> Response:
        return Response(document, media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        routes.draining = True
        await asyncio.to_thread(server.batcher.close)
        if server.log is not None:
            await asyncio.to_thread(server.log.close)
        server.model.close()

    return Starlette(
        routes=[
            Route("/", show_page),
            Route("/page.js", show_script),
            Route("/openapi.json", show_document),
            Route("/predict", routes.predict, methods=["POST"]),
            Route("/predict/batch", routes.predict_batch, methods=["POST"]),
            Route("/health", routes.health),
            Route("/ready", routes.ready),
            Route("/model", routes.show_model),
            Route("/metrics", routes.show_metrics),
        ],
        middleware=[
            Middleware(RequestGuard, address=server.address, metrics=server.metrics, lines=server.lines),
        ],
        exception_handlers={
            UploadError: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _server_error,
        },
        lifespan=lifespan,
    )


class _Routes:
    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._in_hand = 0
        self.draining = False

    async def predict(self, request: Request) -> Response:
        conf = _confidence(request)
        _require_type(request, (*_RAW, _MULTIPART))
        with self._place(1):
            body, received = await self._body(request)
            upload = _single(request, body)
            detected = await self._detected(upload, conf)
            answer = await self._logged(request, upload, detected, _answer(request, upload, detected, received))
        note(request, image=answer.image_id, version=answer.model_version)
        return _json(answer)

    async def predict_batch(self, request: Request) -> Response:
        conf = _confidence(request)
        _require_type(request, (_MULTIPART,))
        with self._place(1):
            body, received = await self._body(request)
            uploads = multipart_uploads(body, request.headers["content-type"], MOST_IMAGES)
            found = await asyncio.gather(*(self._detected(one, conf) for one in uploads), return_exceptions=True)
            items = []
            for upload, one in zip(uploads, found, strict=True):
                if isinstance(one, Detected):
                    answer = await self._logged(request, upload, one, _answer(request, upload, one, received))
                    items.append(BatchItem(upload.image_id, answer=answer))
                elif isinstance(one, UploadError) and one.status not in (500, 503):
                    items.append(BatchItem(upload.image_id, error=one.failure))
                else:
                    raise one
        version = next((one.answer.model_version for one in items if one.answer), self._server.model.current.version)
        note(request, image=f"{len(items)} images", version=version)
        return _json(BatchAnswer(version, items))

    async def health(self, _: Request) -> Response:
        return _json(StateAnswer("ok", self._server.model.current.version))

    async def ready(self, _: Request) -> Response:
        state = StateAnswer("draining" if self.draining else "ready", self._server.model.current.version)
        return _json(state, 503 if self.draining else 200)

    async def show_model(self, _: Request) -> Response:
        model = self._server.model
        served = model.current
        card = served.model.card
        return _json(
            ModelAnswer(
                model_version=served.version,
                model_hash=served.model_hash,
                source=served.source,
                format=card.format,
                precision=card.precision,
                runtime=served.model.session.facts.runtime,
                classes=list(card.output.classes),
                input_width=card.input.width,
                input_height=card.input.height,
                threshold=served.use.conf,
                iou=served.use.iou,
                max_det=served.use.max_det,
                loaded=served.loaded,
                swaps=model.swaps,
                problem=model.problem,
            )
        )

    async def show_metrics(self, _: Request) -> Response:
        self._server.metrics.waiting.set(self._server.batcher.waiting)
        return Response(self._server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @contextlib.contextmanager
    def _place(self, images: int) -> Iterator[None]:
        if self._in_hand + images > self._server.limits.queue:
            raise self._full()
        self._in_hand += images
        try:
            yield
        finally:
            self._in_hand -= images

    def _full(self) -> UploadError:
        self._server.metrics.shed.inc()
        hint = "ask again after the seconds of Retry-After"
        return UploadError(503, Failure("the queue is full", expected="a free place", hint=hint))

    async def _body(self, request: Request) -> tuple[bytes, float]:
        """Return the body and the milliseconds until it was there."""
        limits = self._server.limits
        declared = request.headers.get("content-length", "")
        begun, parts, total = time.perf_counter(), [], 0
        if declared.isdigit() and int(declared) > limits.body_bytes:
            raise _too_long(limits, f"{int(declared):,} bytes")
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for chunk in request.stream():
                    total += len(chunk)
                    if total > limits.body_bytes:
                        raise _too_long(limits, "more")
                    parts.append(chunk)
        except TimeoutError:
            got, expected = f"{total:,} bytes", f"all of it within {limits.body_seconds:g} s"
            raise UploadError(408, Failure("the body did not arrive in time", expected=expected, got=got)) from None
        return b"".join(parts), (time.perf_counter() - begun) * 1000

    async def _detected(self, upload: Upload, conf: float | None) -> Detected:
        future = self._server.batcher.submit(upload, conf)
        if future is None:
            raise self._full()
        seconds = self._server.limits.answer_seconds
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise UploadError(503, Failure("no answer in time", expected=f"within {seconds:g} s")) from None

    async def _logged(self, request: Request, upload: Upload, detected: Detected, answer: Answer) -> Answer:
        """Count an answer and keep it in the log, and return it with whether the log holds it."""
        self._server.metrics.detected(answer)
        if self._server.log is None:
            return answer
        camera = visible_line(request.query_params.get("camera", ""))[:100]
        kept = await self._server.log.keep(answer, camera, detected.brightness, upload.content)
        return msgspec.structs.replace(answer, logged=kept)


class _Lingering(Response):
    """An answer to a body that was not read to its end: sent first, then the rest is thrown away for a moment.

    Closed at once, a connection with unread bytes is reset, and the client may never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _answer(request: Request, upload: Upload, detected: Detected, received: float) -> Answer:
    served = detected.model
    begun = float(request.scope["liftgate_begun"])
    return Answer(
        image_id=upload.image_id,
        model_version=served.version,
        model_hash=served.model_hash,
        threshold=detected.use.conf,
        iou=detected.use.iou,
        width=detected.width,
        height=detected.height,
        detections=detected_objects(detected.found, served.model.card.output.classes),
        timings_ms=Timings(
            receive=round(received, 3),
            wait=round(detected.wait * 1000, 3),
            decode=round(detected.decode * 1000, 3),
            detect=round(detected.detect * 1000, 3),
            total=round((time.perf_counter() - begun) * 1000, 3),
        ),
    )


def _single(request: Request, body: bytes) -> Upload:
    given = request.query_params.get("image_id", "")
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith(_MULTIPART):
        return Upload(image_id(body, given), body)
    uploads = multipart_uploads(body, kind, MOST_IMAGES)
    if len(uploads) != 1:
        hint = "several go to /predict/batch"
        raise UploadError(422, Failure("not one image", expected="1", got=str(len(uploads)), hint=hint))
    return Upload(image_id(uploads[0].content, given), uploads[0].content) if given else uploads[0]


def _require_type(request: Request, known: tuple[str, ...]) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in known:
        expected = ", ".join(one for one in known if one)
        raise UploadError(415, Failure("this content type is not taken", expected=expected, got=kind[:100]))


def _confidence(request: Request) -> float | None:
    text = request.query_params.get("conf")
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # NaN, too
        raise UploadError(422, Failure("conf is out of range", expected="0 to 1", got=text[:40]))
    return value


def _too_long(limits: ServeLimits, got: str) -> UploadError:
    expected = f"at most {limits.body_bytes:,} bytes"
    return UploadError(413, Failure("the body is too long", expected=expected, got=got))


def _json(value: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, UploadError)
    body = msgspec.json.encode(ErrorAnswer(error.failure, error.status))
    headers = {"retry-after": "1"} if error.status == 503 else {}
    if error.status in (408, 413, 415, 422, 503):  # the body may not have been read to its end
        return _Lingering(body, error.status, headers | {"connection": "close"}, "application/json")
    return Response(body, error.status, headers, "application/json")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = msgspec.json.encode(ErrorAnswer(Failure(error.detail.lower()), error.status_code))
    return Response(body, error.status_code, error.headers, "application/json")


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it: the client closed the connection


async def _server_error(_: Request, error: Exception) -> Response:
    body = msgspec.json.encode(ErrorAnswer(Failure("a fault of the server", got=type(error).__name__), 500))
    return Response(body, 500, media_type="application/json")
