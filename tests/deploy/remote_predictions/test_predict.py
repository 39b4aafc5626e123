"""Asking an API: at a pace, again where that helps, never twice, and nothing where it should not go."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.remote_predictions.model_server import ModelServer, cutting, dripping, hanging_up, holding, saying
from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import read_predictions
from liftgate.data.formats.read import read
from liftgate.deploy.remote_predictions import ApiEndpoint, ApiMapping, ApiPredictions, RequestPolicy, predict_api
from liftgate.deploy.remote_predictions.api_mapping import Sending
from liftgate.deploy.remote_predictions.predict import Clock as ClockFunctions
from liftgate.errors import DataError, LiftgateError, Refused, UsageError
from liftgate.services.evidence import evaluate
from liftgate.testing.data import yolo_folder

MAPPING = ApiMapping(classes="found.*.label", boxes="found.*.box", scores="found.*.p")
FOUND = {"label": "dog", "box": [16, 12, 48, 36], "p": 0.9}
NAMES = [f"val/{letter}.png" for letter in "abcde"]


class Clock:
    """Time passes only where somebody waits."""

    def __init__(self) -> None:
        self.now, self.waited = 1000.0, []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[ModelServer]:
    made = ModelServer()
    yield made
    made.close()


@pytest.fixture
def truth(tmp_path: Path, server: ModelServer) -> Dataset:
    """Five images with a dog in the middle, which the server finds."""
    dataset = read(yolo_folder(tmp_path / "data", dict.fromkeys(NAMES, "1 .5 .5 .5 .5\n")))
    for image in dataset.images:
        server.knows(image.path, {"found": [FOUND]})
    return dataset


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(tmp_path: Path, server: ModelServer, truth: Dataset, clock: Clock) -> Any:
    def ask_it(**changes: Any) -> ApiPredictions:
        endpoint = ApiEndpoint(server.url, MAPPING)
        named = {name: changes.pop(name) for name in ("url", "mapping", "headers", "allowed_hosts") if name in changes}
        options = {"dataset": truth, "answers": tmp_path / "answers", "clock": ClockFunctions(clock, clock.wait)}
        return predict_api(endpoint=replace(endpoint, **named), **(options | changes))

    return ask_it


def test_every_image_is_asked_about_once_and_again_never(asking: Any, server: ModelServer, truth: Dataset) -> None:
    first = asking()
    assert (first.n_asked, first.n_saved, len(server.requests)) == (5, 0, 5)
    assert first.predictions.images == tuple(image.id for image in truth.images)
    assert first.predictions.boxes.tolist() == [FOUND["box"]] * 5
    assert set(first.predictions.scores.tolist()) == {0.9}
    again = asking()
    assert (again.n_asked, again.n_saved, len(server.requests)) == (0, 5, 5)
    assert again.predictions.content_hash() == first.predictions.content_hash()


def test_one_connection_serves_all_questions(asking: Any, server: ModelServer) -> None:
    asking()
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_costs_no_try(asking: Any, server: ModelServer) -> None:
    server.script.extend([lambda _: True, hanging_up])
    assert asking(policy=RequestPolicy(tries=1)).n_asked == 5
    assert server.connections == 2


def test_time_per_image_is_recorded(asking: Any, tmp_path: Path) -> None:
    asked = asking()
    speed = asked.predictions.settings["speed"]
    assert 0 < speed["p50_ms"] <= speed["p95_ms"] < 10_000
    assert (speed["n"], speed["at_once"], speed["retries"]) == (5, 1, 0)
    assert (asked.p50_ms, asked.p95_ms) == (speed["p50_ms"], speed["p95_ms"])
    seconds = [json.loads(f.read_text()).get("seconds") for f in (tmp_path / "answers").glob("*.json")]
    assert sorted(s for s in seconds if s is not None)[2] * 1000 == pytest.approx(speed["p50_ms"], abs=0.01)


def test_the_rate_is_kept(asking: Any, clock: Clock) -> None:
    asking(policy=RequestPolicy(rate=2))
    assert clock.waited == [0.5] * 4


def test_no_more_questions_are_in_flight_than_allowed(asking: Any, server: ModelServer) -> None:
    gate = threading.Barrier(3, timeout=120)
    server.script.extend([lambda _: gate.wait() >= 0] * 3)  # the three answer only when all three are there
    asked = asking(policy=RequestPolicy(at_once=3))
    assert server.most_at_once == 3 and asked.n_asked == 5
    assert asked.predictions.images == tuple(sorted(asked.predictions.images)), "in the truth's order, not as they came"


@pytest.mark.parametrize(
    ("trouble", "rested"),
    [
        (saying(429, "slow down", Retry_After="7"), 7),
        (saying(429, "slow down"), 1),
        (saying(503), 1),
        (saying(500, "oh"), 1),
        (saying(429, "", Retry_After="999999"), 300),
        (saying(429, "", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), 1),
        (saying(200, "<html>busy</html>"), 1),
        (saying(200, '{"found": [NaN]}'), 1),
        (saying(200, '{"found": ['), 1),
        (saying(200, "[" * 5000), 1),
        (cutting, 1),
    ],
)
def test_trouble_that_passes_is_asked_again_after_a_rest(
    asking: Any, server: ModelServer, clock: Clock, trouble: Any, rested: float
) -> None:
    server.script.append(trouble)
    asked = asking()
    assert asked.n_asked == 5 and len(server.requests) == 6
    assert clock.waited == [rested]
    assert asked.predictions.settings["speed"]["retries"] == 1


def test_rests_double(asking: Any, server: ModelServer, clock: Clock) -> None:
    server.script.extend([saying(503)] * 4)
    asking()
    assert clock.waited == [1, 2, 4, 8]


@pytest.mark.parametrize("kind", [holding, dripping])
def test_a_server_that_hangs_or_drips_is_left_in_time(asking: Any, server: ModelServer, kind: Any) -> None:
    server.script.append(kind(server))
    asked = asking(policy=RequestPolicy(timeout=0.3))
    assert asked.n_asked == 5 and asked.predictions.settings["speed"]["retries"] == 1


def test_a_slow_answer_in_time_is_an_answer(asking: Any, server: ModelServer) -> None:
    server.script.append(lambda _: server.release.wait(0.15) or True)
    asked = asking(policy=RequestPolicy(timeout=20))
    assert asked.p95_ms is not None and asked.p95_ms > 100
    assert asked.predictions.settings["speed"]["retries"] == 0


def test_after_a_stop_only_the_missing_are_asked(asking: Any, server: ModelServer) -> None:
    server.script.extend([lambda _: True, lambda _: True, *[saying(500)] * 6])
    with pytest.raises(
        LiftgateError, match=r"seems to be down(.|\n)*HTTP 500(.|\n)*2 of 5 images are answered"
    ) as error:
        asking(policy=RequestPolicy(tries=2))
    assert error.value.exit_code == 1
    asked = asking()
    assert (asked.n_asked, asked.n_saved) == (3, 2)


def test_an_image_without_answer_is_an_error_or_left_out_when_asked_for(asking: Any, server: ModelServer) -> None:
    server.script.extend([lambda _: True, saying(422, "what is this?")])
    with pytest.raises(LiftgateError, match=r"1 images got no answer.*val/b.png.*HTTP 422 what is this"):
        asking()
    server.script.append(saying(422))
    asked = asking(partial=True)
    assert list(asked.failed) == ["images/val/b.png"]
    assert "images/val/b.png" not in asked.predictions.images and len(asked.predictions.images) == 4


def test_a_wrong_key_or_address_stops_at_once(asking: Any, server: ModelServer) -> None:
    server.script.append(saying(401, "who are you?"))
    with pytest.raises(LiftgateError, match=r"refuses the request.*401 who are you(.|\n)*is the key right"):
        asking()
    assert len(server.requests) == 1


def test_nobody_there_is_an_error(asking: Any, server: ModelServer) -> None:
    server.close()
    with pytest.raises(LiftgateError, match=r"seems to be down.*ConnectionRefusedError"):
        asking(policy=RequestPolicy(tries=1))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_refused_and_named(asking: Any, server: ModelServer, status: int) -> None:
    server.script.append(saying(status, Location="https://elsewhere.example/take"))
    with pytest.raises(Refused, match=r"another host.*got elsewhere\.example"):
        asking()
    assert len(server.requests) == 1


def test_a_redirect_on_the_same_host_says_where_to(asking: Any, server: ModelServer) -> None:
    server.script.append(saying(308, Location="/v2/predict"))
    with pytest.raises(Refused, match=r"has moved.*/v2/predict"):
        asking()


def test_an_answer_without_end_is_refused(asking: Any, server: ModelServer) -> None:
    server.script.append(saying(200, " " * 70_000))
    with pytest.raises(DataError, match=r"too large.*at most 65,536 bytes"):
        asking(policy=RequestPolicy(max_answer_bytes=65_536))


def test_confidential_images_stay_unless_the_host_is_named(asking: Any, server: ModelServer, truth: Dataset) -> None:
    secret = replace(truth, confidential=True)
    with pytest.raises(Refused, match=r"confidential(.|\n)*--allow-remote 127\.0\.0\.1"):
        asking(dataset=secret)
    assert not server.requests
    assert asking(dataset=secret, allowed_hosts=["127.0.0.1"]).n_asked == 5


def test_a_key_goes_into_the_header_and_nowhere_else(
    asking: Any, server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "Bearer s3cr3t-value")
    echo = json.dumps({"found": [], "echo": "Bearer s3cr3t-value"})
    server.script.extend([saying(200, echo), saying(422, "bad key Bearer s3cr3t-value")])
    with pytest.raises(LiftgateError) as error:
        asking(headers={"Authorization": "MODEL_KEY"})
    assert all(request["headers"]["Authorization"] == "Bearer s3cr3t-value" for request in server.requests)
    kept = "".join(path.read_text() for path in tmp_path.rglob("answers/*"))
    assert "s3cr3t" not in str(error.value) + kept and '"echo": "…"' in kept


@pytest.mark.parametrize(
    ("value", "says"), [(None, "MODEL_KEY is not set"), ("a\r\nX-Evil: 1", "no header may have"), ("ключ", "no header")]
)
def test_a_key_that_is_none_is_refused_without_being_shown(
    asking: Any, monkeypatch: pytest.MonkeyPatch, value: str | None, says: str
) -> None:
    monkeypatch.delenv("MODEL_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MODEL_KEY", value)
    with pytest.raises(UsageError, match=says) as error:
        asking(headers={"X-Key": "MODEL_KEY"})
    assert value is None or value not in str(error.value)


def test_multipart_sends_the_image_and_fields_but_not_the_files_name(asking: Any, server: ModelServer) -> None:
    asking(mapping=msgspec.structs.replace(MAPPING, send=Sending(fields={"conf": 0.01}, query={"model": "v 2"})))
    sent = server.requests[0]
    assert sent["path"] == "/predict?model=v+2"
    assert sent["fields"]["conf"] == b"0.01" and sent["fields"]["image"].startswith(b"\x89PNG")
    assert b'filename="image.png"' in sent["raw"] and b"a.png" not in sent["raw"]


def test_a_body_is_the_file_and_its_media_type(asking: Any, server: ModelServer, truth: Dataset) -> None:
    asking(mapping=msgspec.structs.replace(MAPPING, send=Sending(as_="body")))
    assert server.requests[0]["kind"] == "image/png"
    assert server.requests[0]["raw"] == truth.images[0].path.read_bytes()


def test_a_changed_image_is_asked_about_again(asking: Any, server: ModelServer, truth: Dataset) -> None:
    asking()
    path = truth.images[0].path
    path.write_bytes(path.read_bytes() + b"\0")
    server.knows(path, {"found": []})
    asked = asking()
    assert (asked.n_asked, len(asked.predictions)) == (1, 4)


def test_answers_to_another_question_are_not_taken_for_these(asking: Any) -> None:
    asking()
    with pytest.raises(UsageError, match=r"another request(.|\n)*another --out"):
        asking(mapping=msgspec.structs.replace(MAPPING, send=Sending(query={"model": "v3"})))


def test_a_mapping_that_does_not_fit_costs_one_question_and_none_when_it_is_mended(
    asking: Any, server: ModelServer
) -> None:
    with pytest.raises(
        DataError, match=r"does not fit the mapping: found\.\*\.bbox.*a\.png.*expected 'bbox'.*label, box, p"
    ):
        asking(mapping=msgspec.structs.replace(MAPPING, boxes="found.*.bbox"))
    assert len(server.requests) == 1
    assert asking().n_asked == 4


def test_parameters_in_the_address_are_refused_for_they_may_be_keys(asking: Any, server: ModelServer) -> None:
    with pytest.raises(UsageError, match="no parameters in the address") as error:
        asking(url=server.url + "?api_key=s3cr3t")
    assert "s3cr3t" not in str(error.value)


def test_images_that_are_not_there_are_named_before_anything_is_asked(
    asking: Any, server: ModelServer, truth: Dataset
) -> None:
    truth.images[3].path.unlink()
    with pytest.raises(DataError, match=r"missing images cannot be sent.*val/d\.png"):
        asking()
    assert not server.requests


def test_the_verb_writes_predictions_that_evaluate_reads(
    tmp_path: Path, server: ModelServer, truth: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("boxes: found.*.box\nscores: found.*.p\nclasses: found.*.label\n")
    out = tmp_path / "api.json"
    words = ["ask", "--truth", str(truth.source), "--api-url", server.url, "--mapping", str(mapping), "--out", str(out)]
    assert main([*words, "--rate", "1000/s", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["n_images"], said["n_asked"], said["failed"]) == (5, 5, {}) and said["p50_ms"] > 0
    assert evaluate(truth.source, out).metrics["mAP50"] == pytest.approx(1)
    assert read_predictions(out, truth.split("val")).settings["speed"]["n"] == 5
    assert main([*words, "--confidential"]) == 2
    assert main([*words, "--header", "Authorization=Bearer s3cr3t"]) == 2
    shown = capsys.readouterr()
    assert "--allow-remote" in shown.err and "s3cr3t" not in shown.err + shown.out
