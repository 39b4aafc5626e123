from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deploy.serving.running import RunningServer, multipart
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.images import read_pixels
from liftgate.deploy.runtime.predict import load_model


def encoded(size: tuple[int, int] = (64, 48), kind: str = "PNG", mode: str = "RGB") -> bytes:
    image = Image.effect_noise(size, 60).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_an_answer_is_what_the_model_finds_and_says_what_made_it(
    server: RunningServer, models: Path, images: list[Path]
) -> None:
    export = describe_export(models / "v0" / "detector0_v0.onnx")
    model = load_model(export.card, export.folder)
    for path in images:
        expected = model.detect(read_pixels(path), UseSettings(conf=0.25))
        answer = server.predict(path.read_bytes()).json
        assert [one["class"] for one in answer["detections"]] == [("red", "green", "blue")[n] for n in expected.cls]
        assert np.abs(np.array([one["box"] for one in answer["detections"]]) - expected.boxes).max() <= 0.005
        assert np.abs(np.array([one["confidence"] for one in answer["detections"]]) - expected.scores).max() <= 5e-6
        assert (answer["model_version"], answer["threshold"], answer["iou"]) == ("v0", 0.25, 0.7)
        assert answer["model_hash"] == hashlib.sha256((models / "v0" / "detector0_v0.onnx").read_bytes()).hexdigest()
        assert answer["image_id"] == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        assert set(answer["timings_ms"]) == {"receive", "wait", "decode", "detect", "total"}
        assert answer["timings_ms"]["total"] >= answer["timings_ms"]["detect"] > 0


def test_a_raw_body_and_a_multipart_body_have_one_answer(server: RunningServer, images: list[Path]) -> None:
    content = images[0].read_bytes()
    raw = server.predict(content, "?image_id=cam1/7.png").json
    body, headers = multipart(("photo of a square.png", content))
    form = server.ask("POST", "/predict", body, headers).json
    assert raw["detections"] == form["detections"]
    assert (raw["image_id"], form["image_id"]) == ("cam1/7.png", "photo of a square.png")


def test_a_request_may_ask_for_another_threshold(server: RunningServer, images: list[Path]) -> None:
    content = images[0].read_bytes()
    few, many = (server.predict(content, f"?conf={conf}").json for conf in ("0.9", "0"))
    assert len(few["detections"]) < len(many["detections"]) and (few["threshold"], many["threshold"]) == (0.9, 0.0)
    for bad in ("1.1", "-1", "nan", "much", ""):
        refused = server.predict(content, f"?conf={bad}")
        assert (refused.status, refused.json["error"]["what"]) == (422, "conf is out of range")


def test_a_batch_answers_in_order_and_names_the_image_that_is_bad(server: RunningServer, images: list[Path]) -> None:
    files = [(path.name, path.read_bytes()) for path in images]
    files[2] = ("bad.png", b"no image")
    answer = server.ask("POST", "/predict/batch", *multipart(*files)).json
    assert [one["image_id"] for one in answer["items"]] == [name for name, _ in files]
    assert "no JPEG" in answer["items"][2]["error"]["what"]
    alone = server.predict(files[4][1]).json
    assert answer["items"][4]["answer"]["detections"] == alone["detections"]
    two = server.ask("POST", "/predict", *multipart(*files[:2]))
    assert (two.status, two.json["error"]["hint"]) == (422, "several go to /predict/batch")
    many = server.ask("POST", "/predict/batch", *multipart(*[("a.png", b"x")] * 33))
    assert many.status == 413


def animated(kind: str) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "green")]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "what"),
    [
        (b"", 422, "empty"),
        (b"PK\x03\x04 a zip", 415, "no JPEG and no PNG"),
        (animated("GIF"), 415, "no JPEG and no PNG"),
        (animated("WEBP"), 415, "no JPEG and no PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "no JPEG and no PNG"),
        (encoded(kind="JPEG")[:-300], 422, "cannot be decoded"),
        (encoded()[:200], 422, "cannot be decoded"),
        (encoded((1001, 1000), mode="1"), 413, "too large"),
    ],
)
def test_what_is_no_whole_image_within_the_limits_is_refused(
    server: RunningServer, content: bytes, status: int, what: str
) -> None:
    for refused in (server.predict(content), server.ask("POST", "/predict", *multipart(("a.png", content)))):
        assert refused.status == status and what in refused.json["error"]["what"]
    assert server.predict(encoded()).status == 200


def test_a_header_that_promises_a_huge_image_costs_no_memory(server: RunningServer) -> None:
    content = bytearray(encoded())
    content[16:24] = (30_000).to_bytes(4, "big") * 2
    refused = server.predict(bytes(content))  # its checksum no longer fits either: both are reasons
    assert refused.status in (413, 422)
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    refused = server.predict(buffer.getvalue())
    assert (refused.status, refused.json["error"]["what"]) == (413, "the image is too large")


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpegs_in_other_colours_are_read(server: RunningServer, mode: str) -> None:
    assert server.predict(encoded(kind="JPEG", mode=mode), kind="image/jpeg").json["width"] == 64


def test_of_an_animated_png_the_first_picture_is_looked_at(server: RunningServer) -> None:
    assert (
        server.predict(animated("PNG")).json["detections"]
        == server.predict(encoded_as_png(Image.new("RGB", (64, 48), "red"))).json["detections"]
    )


def encoded_as_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_other_content_types_are_refused(server: RunningServer, images: list[Path]) -> None:
    for kind in ("application/json", "text/plain", "image/gif", "application/x-www-form-urlencoded"):
        assert server.predict(images[0].read_bytes(), kind=kind).status == 415
    raw = server.ask("POST", "/predict/batch", images[0].read_bytes(), {"content-type": "image/png"})
    assert raw.status == 415


FIELD_ALONE = b'--edge\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--edge--\r\n'


@pytest.mark.parametrize("body", [b"", b"nothing", b"--edge\r\n\r\n", FIELD_ALONE])
def test_a_damaged_multipart_body_is_refused(server: RunningServer, body: bytes) -> None:
    for headers in ({"content-type": "multipart/form-data; boundary=edge"}, {"content-type": "multipart/form-data"}):
        for route in ("/predict", "/predict/batch"):
            assert server.ask("POST", route, body, headers).status == 422


def test_the_other_routes(server: RunningServer, images: list[Path]) -> None:
    server.predict(images[0].read_bytes(), "?camera=gate")
    assert server.ask("GET", "/health").json == {"status": "ok", "model_version": "v0"}
    assert server.ask("GET", "/ready").json == {"status": "ready", "model_version": "v0"}
    model = server.ask("GET", "/model").json
    assert (model["model_version"], model["classes"], model["problem"]) == ("v0", ["red", "green", "blue"], None)
    assert model["source"] == "v0/detector0_v0.onnx"
    metrics = server.ask("GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'liftgate_requests_total{route="/predict",status="200"}' in metrics.body.decode()
    assert server.ask("GET", "/nowhere").json["error"]["what"] == "not found"
    assert server.ask("GET", "/predict").status == 405


def test_the_openapi_document_has_every_route_and_record(server: RunningServer) -> None:
    document = server.ask("GET", "/openapi.json").json
    assert set(document["paths"]) == {"/predict", "/predict/batch", "/health", "/ready", "/model", "/metrics"}
    text = json.dumps(document)
    for name in ("Answer", "BatchAnswer", "ModelAnswer", "StateAnswer", "ErrorAnswer", "DetectedObject"):
        assert name in document["components"]["schemas"] and f"#/components/schemas/{name}" in text


def test_the_log_is_lines_of_json_without_image_or_query(server: RunningServer, images: list[Path]) -> None:
    server.predict(images[0].read_bytes(), "?camera=secret-place&image_id=mine")
    server.ask("GET", "/health")
    server.ask("GET", "/../etc/passwd")
    limit = time.monotonic() + 180
    while True:  # a line is written after its answer
        found = server.events("request")
        mine = [place for place, one in enumerate(found) if one["image"] == "mine"]
        if mine and len(found) > mine[0] + 1:
            break
        assert time.monotonic() < limit, "the lines did not come"
        time.sleep(0.05)
    requests = found[mine[0] :]
    assert [one["route"] for one in requests] == ["/predict", "other"]
    assert set(requests[0]) == {"time", "event", "method", "route", "status", "ms", "image", "model_version"}
    assert "secret-place" not in json.dumps(server.lines)
