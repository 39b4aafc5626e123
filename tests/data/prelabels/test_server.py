"""Push and pull through the real cvat-sdk, against a real HTTP server that speaks the endpoints it uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.prelabels.cvat_server import TOKEN, State, running
from data.prelabels.test_work_times import event, log, shown
from liftgate.cli import main
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.read import read
from liftgate.testing.data import yolo_folder

pytest.importorskip("cvat_sdk", reason="needs the `cvat` extra")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    with running() as state:
        yield state


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    document = yolo_folder(tmp_path / "set", {"train/sub/a.jpg": None, "val/a.jpg": None}, ["cat", "dog"])
    dataset = read(document)
    boxes = np.array([[1.0, 2, 30, 40], [5, 5, 20, 20]])
    ids = tuple(image.id for image in dataset.images)
    rows = (np.array([0, 1]), np.array([0, 1]))
    found = Predictions(ids, dataset.classes, *rows, boxes, np.array([0.9, 0.8]))
    file = coco.write_predictions(found, dataset, tmp_path / "p.json")
    return ["data", "prelabel", str(document), "--predictions", str(file), "--out", str(tmp_path / "out")]


def test_a_task_is_made_of_the_export_and_its_labels_come_back_changed(
    server: State, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--push", server.url, "--name", "night shift", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == 7
    assert server.spec["name"] == "night shift"
    assert [label["name"] for label in server.spec["labels"]] == ["cat", "dog"]
    assert sorted(server.frames) == ["images/train/sub/a.jpg", "images/val/a.jpg"], "names as in the labels"
    sent = server.files["annotations.xml"].decode()
    assert 'name="images/train/sub/a.jpg"' in sent
    server.corrected = sent.replace('xbr="30"', 'xbr="33"')
    home = tmp_path / "home.zip"
    more = ["data", "corrections", str(tmp_path / "out"), str(home), "--pull", server.url, "--task", "7", "--json"]
    assert main(more) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["total"]["kept"], record["total"]["moved"]) == (1, 1)
    assert TOKEN not in "".join(path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert main(more) == 2, "the file is there"


def test_what_the_server_logged_says_how_long_the_frames_were_worked_on(
    server: State, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--push", server.url]) == 0
    capsys.readouterr()
    home, times = tmp_path / "home.zip", tmp_path / "events.csv"
    more = ["data", "corrections", str(tmp_path / "out"), str(home), "--pull", server.url, "--task", "7", "--json"]
    assert main([*more, "--times", str(times)]) == 1, "this server keeps no events"
    assert "the CVAT server" in capsys.readouterr().err and not home.exists() and not times.exists()
    steps = [shown(0, 0, 1), event(30, "draw:object"), shown(40, 1, 0), event(55, "resize:object")]
    server.events = log(tmp_path / "logged.csv", steps).read_text()
    assert main([*more, "--times", str(times)]) == 0
    measured = json.loads(capsys.readouterr().out)["measured"]
    assert (measured["all"]["seconds"], measured["all"]["n_images"], measured["all"]["n_objects"]) == (55, 2, 2)
    assert measured["saving"] is None and times.read_text() == server.events
    assert TOKEN not in times.read_text()


def test_confidential_frames_stay_until_somebody_names_the_host(
    server: State, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push = [*words, "--confidential", "--push", server.url]
    assert main(push) == 2
    assert "confidential" in capsys.readouterr().err
    assert server.asked == []
    assert not (tmp_path / "out").exists()
    assert main([*push, "--allow-remote", "127.0.0.1"]) == 0
    assert server.frames


@pytest.mark.parametrize("trouble", ["token", "no token", "import", "gone", "http"])
def test_what_goes_wrong_is_one_error_without_the_token(
    server: State,
    words: list[str],
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = {"gone": "http://127.0.0.1:9", "http": "http://cvat.example.org"}.get(trouble, server.url)
    if trouble == "token":
        monkeypatch.setenv("CVAT_ACCESS_TOKEN", "wrong-secret")
    if trouble == "no token":
        monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    server.fails = trouble == "import"
    assert main([*words, "--push", url]) in (1, 2)
    out, err = capsys.readouterr()
    said = {"token": "401", "no token": "CVAT_ACCESS_TOKEN is not set", "import": "no such label: cat"}
    assert said.get(trouble, {"gone": "cannot be used", "http": "https://"}.get(trouble, "")) in err
    assert "Traceback" not in err
    assert "secret" not in out + err
