"""`liftgate predict --api`: the same predictions as from the export itself, of one version alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("onnxruntime")

import liftgate
from deploy.colours import GROUPS, write_images
from deploy.serving.running import RunningServer, registry_of, running
from liftgate.cli import main
from liftgate.errors import DataError, Refused, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registry_of(tmp_path_factory.mktemp("registry"), 2)


@pytest.fixture(scope="module")
def server(registry: Path) -> Iterator[RunningServer]:
    with running("--registry", registry) as found:
        yield found


def url(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_predictions_through_a_server_are_those_of_the_export(
    server: RunningServer, registry: Path, data: Path, tmp_path: Path
) -> None:
    over = liftgate.predict_api(url(server), data, tmp_path / "api.json").result.predictions
    here = liftgate.predict(registry / "v0" / "detector0_v0.onnx", data).predictions
    assert (over.images, over.classes, len(over)) == (here.images, here.classes, len(here))
    assert (over.image == here.image).all() and (over.cls == here.cls).all()
    assert np.abs(over.boxes - here.boxes).max() <= 0.005 and np.abs(over.scores - here.scores).max() <= 5e-6
    settings = json.loads((tmp_path / "api.settings.json").read_text())
    assert (settings["model_version"], settings["weights"]) == ("v0", here.settings["weights"])
    assert {name: settings[name] for name in ("conf", "iou", "max_det")} == {
        name: here.settings[name] for name in ("conf", "iou", "max_det")
    }
    assert liftgate.evaluate(data, tmp_path / "api.json", groups=GROUPS).metrics["mAP50-95"] > 0.95


def test_the_command_asks_again_for_nothing_that_is_answered(
    server: RunningServer, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data.parent / "images" / "test"
    words = ["predict", "--api", url(server), str(folder), "--out", str(tmp_path / "p.json"), "--json"]
    for asked, saved in ((12, 0), (0, 12)):
        assert main(words) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["n_images"], told["n_asked"], told["n_saved"]) == (12, asked, saved)
    answers = [json.loads(one.read_text()) for one in (tmp_path / "p.answers").iterdir() if one.name != "asked.json"]
    assert {one["answer"]["model_version"] for one in answers} == {"v0"} and len(answers) == 12


def test_a_promotion_in_the_middle_is_refused(data: Path, tmp_path: Path) -> None:
    registry = registry_of(tmp_path, 2)
    with running("--registry", registry) as server:
        swapped = threading.Event()

        def promote(_: str, done: int, __: int) -> None:
            if done == 4 and not swapped.is_set():
                swapped.set()
                liftgate.promote("v0.1", registry=registry, override="a test")
                with liftgate.Client(url(server)) as client:
                    while client.model().model_version != "v0.1":
                        pass

        with pytest.raises(DataError, match="another version of the model answered after 4 images") as caught:
            liftgate.predict_api(url(server), data, tmp_path / "p.json", progress=promote)
        assert "v0.1" in str(caught.value) and "p.answers" in str(caught.value)
        assert not (tmp_path / "p.json").exists()
        with pytest.raises(DataError, match="another version"):  # the saved answers are of v0 still
            liftgate.predict_api(url(server), data, tmp_path / "p.json")
        made = liftgate.predict_api(url(server), data, tmp_path / "again.json")
        assert made.result.predictions.settings["model_version"] == "v0.1"


def test_what_may_not_be_sent_is_not(server: RunningServer, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    with pytest.raises(Refused, match="confidential"):
        liftgate.predict_api(url(server), data, out, confidential=True)
    with pytest.raises(Refused, match="confidential"):  # before anybody is asked anything
        liftgate.predict_api("http://127.0.0.1:9", data, out, confidential=True)
    elsewhere = tmp_path / "set"
    elsewhere.mkdir()
    (elsewhere / "link.png").symlink_to(next((data.parent / "images" / "test").iterdir()))
    with pytest.raises(Refused, match="outside the data set's own folders"):
        liftgate.predict_api("http://127.0.0.1:9", elsewhere, out)
    made = liftgate.predict_api(url(server), data, out, confidential=True, allowed_hosts=["127.0.0.1"])
    assert made.n_asked == 12
    with pytest.raises(UsageError, match=r"a \.json"):
        liftgate.predict_api(url(server), data, tmp_path / "p.txt")


@pytest.mark.parametrize(
    "words",
    [["--iou", "0.5"], ["--imgsz", "64"], ["--classes", "a"], ["--conf", "2"], ["--at-once", "99"]],
)
def test_options_of_a_model_mean_nothing_to_a_server(
    server: RunningServer, data: Path, tmp_path: Path, words: list[str]
) -> None:
    assert main(["predict", "--api", url(server), str(data), "--out", str(tmp_path / "p.json"), *words]) == 2


@pytest.mark.parametrize(
    "words", [["--token-file", "t"], ["--confidential"], ["--at-once", "2"], ["--allow-remote", "h"]]
)
def test_options_of_a_server_mean_nothing_to_a_model(data: Path, tmp_path: Path, words: list[str]) -> None:
    assert main(["predict", "m.onnx", str(data), "--out", str(tmp_path / "p.json"), *words]) == 2


def test_an_address_where_no_server_is_is_one_error(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--api", "best.pt", str(data), "--out", str(tmp_path / "p.json")]) == 2
    assert "not an address" in capsys.readouterr().err
