"""`liftgate evaluate --api-url`: a model behind HTTP is measured, timed, looked at, and can be taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("onnxruntime")

import liftgate
from deploy.colours import GROUPS, write_images
from deploy.remote_predictions.model_server import ModelServer, saying
from deploy.serving.running import RunningServer, registry_of, running
from liftgate.cli import main
from liftgate.errors import DataError, Refused, UsageError
from liftgate.judging.marks import read_draw_of_marks


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("set"), 36)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return registry_of(tmp_path_factory.mktemp("registry"), 2)


@pytest.fixture(scope="module")
def server(registry: Path) -> Iterator[RunningServer]:
    with running("--registry", registry) as found:
        yield found


def url(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_a_served_model_is_measured_as_its_predictions_are(
    server: RunningServer, registry: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--truth", str(data), "--split", "test", "--groups", GROUPS, "--threats", "red"]
    words += ["--threshold", "0.4", "--json"]
    out = tmp_path / "test"
    assert main([*words, "--api-url", url(server), "--out", str(out)]) == 0
    over = json.loads(capsys.readouterr().out)
    liftgate.predict(registry / "v0" / "detector0_v0.onnx", data, tmp_path / "p.json", split="test")
    assert main([*words, "--predictions", str(tmp_path / "p.json")]) == 0
    here = json.loads(capsys.readouterr().out)
    for name in ("accuracy", "detection_rate", "false_alarm_rate", "recall", "mAP50"):
        assert over["metrics"][name] == pytest.approx(here["metrics"][name], abs=1e-9)
        assert over["intervals"][name] == pytest.approx(here["intervals"][name], abs=1e-9, nan_ok=True)
    assert (over["model_version"], over["n_asked"], over["to_mark"]) == ("v0", 36, 100)
    times = over["seconds_per_image"]
    assert 0 < times["p50"]["low"] <= times["p50"]["estimate"] <= times["p50"]["high"]
    assert times["p50"]["estimate"] <= times["p95"]["estimate"] and times["p95"]["n_groups"] == 6
    report = (out / "REPORT.md").read_text()
    assert "liftgate models rollback" in report and "| accuracy |" in report and "seconds per image, p95" in report
    assert f"of {over['screening']['n_with_threat']} images with a threat flagged (red " in report
    assert json.loads((out / "evaluation.json").read_text())["metrics"] == over["metrics"]
    assert main([*words, "--api-url", url(server), "--out", str(out)]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["n_asked"], again["n_saved"], again["metrics"]) == (0, 36, over["metrics"])
    assert main([*words, "--api-url", url(server), "--out", str(out), "--seed", "5"]) == 2
    assert "other predictions to mark" in capsys.readouterr().err


def test_the_marks_come_back_as_a_rate(
    server: RunningServer, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "test"
    made = liftgate.evaluate_api(data, url(server), out, split="test", groups=GROUPS, to_mark=40, seed=3)
    draw = read_draw_of_marks(out / "marks")
    assert made.to_mark == len(draw.items) == 40 and (out / "marks" / "marks.html").is_file()
    lines = [f"{draw.hash},{one.id},{'no' if number < 4 else 'yes'},Ann,1.0" for number, one in enumerate(draw.items)]
    (tmp_path / "answers.csv").write_text("\n".join(["draw,question,answer,person,seconds", *lines]) + "\n")
    assert main(["evaluate", "--marks", str(tmp_path / "answers.csv"), "--out", str(out)]) == 0
    assert "36 of 40 marked predictions are right" in capsys.readouterr().out
    assert main(["evaluate", "--marks", str(tmp_path / "answers.csv"), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rate"]["estimate"] == 0.9
    (tmp_path / "answers.csv").write_text("draw,question,answer\nother,p0001,yes\n")
    assert main(["evaluate", "--marks", str(tmp_path / "answers.csv"), "--out", str(out)]) == 2


def test_another_api_is_asked_by_its_mapping(data: Path, tmp_path: Path) -> None:
    server = ModelServer()
    try:
        for path in sorted((data.parent / "images" / "test").iterdir()):
            server.knows(path, {"found": [{"box": [0, 0, 16, 16], "name": "red", "sure": 0.5}]})
        mapping = tmp_path / "api.yaml"
        mapping.write_text("{boxes: found.*.box, scores: found.*.sure, classes: found.*.name}")
        access = liftgate.ApiAccess(mapping=mapping)
        made = liftgate.evaluate_api(data, server.url, tmp_path / "test", access=access, split="test", groups=GROUPS)
        assert made.model_version is None and made.n_asked == 36 and made.to_mark == 36
        assert made.evaluation.n_images == 36 and made.evaluation.n_groups == 6
        server.script.append(saying(307, location="http://evil.example/"))
        with pytest.raises(Refused, match="another host"):
            liftgate.evaluate_api(data, server.url, tmp_path / "other", access=access, split="test", groups=GROUPS)
    finally:
        server.close()


def test_a_promotion_in_the_middle_is_refused(data: Path, tmp_path: Path) -> None:
    registry = registry_of(tmp_path, 2)
    with running("--registry", registry) as server:
        liftgate.evaluate_api(data, url(server), tmp_path / "test", split="test", groups=GROUPS)
        liftgate.promote("v0.1", registry=registry, override="a test")
        with liftgate.Client(url(server)) as client:
            while client.model().model_version != "v0.1":
                pass
        with pytest.raises(DataError, match="another version of the model"):
            liftgate.evaluate_api(data, url(server), tmp_path / "test", split="test", groups=GROUPS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--api-url", "URL"], "--out FOLDER"),
        (["--api-url", "URL", "--out", "OUT", "--predictions", "p.json"], "--predictions is of predictions in files"),
        (["--api-url", "URL", "--out", "OUT", "--common"], "--common is of predictions in files"),
        (["--api-url", "URL", "--out", "OUT", "--threats", "red", "--threshold", "f1"], "needs predictions on val"),
        (["--api-url", "URL", "--out", "OUT", "--threats", "red"], "from which score on"),
        (["--api-url", "URL", "--out", "OUT", "--to-mark", "0"], "out of range"),
        (["--api-url", "URL", "--out", "OUT", "--confidential"], "is confidential"),
        (["--api-url", "URL", "--out", "OUT", "--header", "X=KEY"], "headers are of an API with a mapping"),
        (["--api-url", "http://example.com", "--out", "OUT"], "would travel in the open"),
        (["--out", "OUT"], "--api-url URL"),
        (["--marks", "a.csv"], "--out FOLDER"),
        ([], "--predictions"),
    ],
)
def test_what_cannot_be_tested_is_one_error(
    server: RunningServer, data: Path, tmp_path: Path, words: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [{"URL": url(server), "OUT": str(tmp_path / "out")}.get(word, word) for word in words]
    assert main(["evaluate", "--truth", str(data), "--split", "test", "--groups", GROUPS, *given]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(UsageError, match="a folder"):
        (tmp_path / "file").write_text("")
        liftgate.evaluate_api(data, url(server), tmp_path / "file", split="test")
