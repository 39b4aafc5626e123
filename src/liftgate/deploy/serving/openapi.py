"""The OpenAPI document of a server, from the records of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from liftgate._version import __version__
from liftgate.deploy.serving.answers import Answer, BatchAnswer, ErrorAnswer, ModelAnswer, StateAnswer
from liftgate.deploy.serving.settings import MOST_IMAGES, ServeLimits

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"

_RECORDS = (Answer, BatchAnswer, ModelAnswer, StateAnswer, ErrorAnswer)
_ERRORS = {
    "400": "not HTTP, or the client went away",
    "401": "no valid token",
    "408": "the body did not arrive in time",
    "413": "the body or the image is too large, or there are too many images",
    "415": "neither JPEG nor PNG",
    "421": "the request is for another host",
    "422": "an empty or damaged image, or a value out of range",
    "503": "the queue is full: ask again after Retry-After",
}


def openapi_document(limits: ServeLimits, *, token: bool) -> dict[str, Json]:
    """Return the OpenAPI 3.1 document.

    Args:
        limits: of the server, which the descriptions name.
        token: whether it asks for one.
    """
    _, schemas = msgspec.json.schema_components(_RECORDS, ref_template="#/components/schemas/{name}")
    image: Json = {"schema": {"type": "string", "format": "binary"}}
    part: Json = {"type": "string", "format": "binary", "contentMediaType": "image/jpeg"}
    one: Json = {"schema": {"type": "object", "required": ["image"], "properties": {"image": part}}}
    several_type: Json = {"type": "array", "minItems": 1, "maxItems": MOST_IMAGES, "items": part}
    several: Json = {"schema": {"type": "object", "required": ["image"], "properties": {"image": several_type}}}
    size = f"at most {limits.body_bytes:,} bytes, and {limits.pixels:,} pixels an image"
    predict = _post(
        f"Detections in one image, {size}.",
        {"image/jpeg": image, "image/png": image, "multipart/form-data": one},
        "Answer",
        [_query("image_id", {"type": "string"}, "name of the image in the answer; else its hash"), *_COMMON],
    )
    batch = _post(f"Detections in up to {MOST_IMAGES} images, {size}.", {"multipart/form-data": several},
                  "BatchAnswer", list(_COMMON))  # fmt: skip
    metrics: dict[str, Json] = {
        "200": {"description": "Prometheus's text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    paths: dict[str, Json] = {
        "/predict": {"post": predict},
        "/predict/batch": {"post": batch},
        "/health": {"get": _get("The process lives.", "StateAnswer", open_to_all=True)},
        "/ready": {"get": _get("It takes requests.", "StateAnswer", open_to_all=True, also_503="StateAnswer")},
        "/model": {"get": _get("The model in use.", "ModelAnswer")},
        "/metrics": {"get": {"summary": "Counters.", "responses": {**metrics, **_errors("401", "421")}}},
    }
    document: dict[str, Json] = {
        "openapi": "3.1.0",
        "info": {"title": "liftgate serve", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
    }
    components: dict[str, Json] = {"schemas": schemas}
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    document["components"] = components
    return document


def _query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_COMMON = (
    _query("conf", {"type": "number", "minimum": 0, "maximum": 1}, "least confidence; else the server's"),
    _query("camera", {"type": "string"}, "of the prediction log"),
)


def _post(summary: str, content: Mapping[str, Json], answer: str, parameters: list[Json]) -> Json:
    good: Json = {"description": "detections", "content": _as_json(answer)}
    return {
        "summary": summary,
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": good, **_errors(*_ERRORS)},
    }


def _get(summary: str, answer: str, *, open_to_all: bool = False, also_503: str | None = None) -> Json:
    responses: dict[str, Json] = {"200": {"description": "now", "content": _as_json(answer)}}
    responses |= _errors("421") if open_to_all else _errors("401", "421")
    if also_503 is not None:
        responses["503"] = {"description": "not now", "content": _as_json(also_503)}
    found: dict[str, Json] = {"summary": summary, "responses": responses}
    return {**found, "security": []} if open_to_all else found


def _errors(*statuses: str) -> dict[str, Json]:
    return {one: {"description": _ERRORS[one], "content": _as_json("ErrorAnswer")} for one in statuses}


def _as_json(record: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{record}"}}}
