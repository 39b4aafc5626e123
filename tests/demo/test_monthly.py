"""The months of the demo: what its camera shows, its server and challenger, and the whole of it (a job of its own)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("onnx")
pytest.importorskip("starlette")
pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

import liftgate
from deploy.colours import write_detector, write_images
from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.data.production_log.log_rows import read_log
from liftgate.demo.demo_dataset import DigitPool
from liftgate.demo.fading_camera import PlayedFrame, draw_month, frames_of_a_day
from liftgate.demo.played_day import PlayedServer
from liftgate.errors import UsageError

DAY = 1_760_054_400.0
"""A midnight, UTC"""


def test_each_month_is_darker_and_has_frames_of_twenty_days_with_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pool, light = DigitPool(rng), []
    for month in (1, 2, 3):
        frames = draw_month(tmp_path / str(month), month, pool, rng)
        light.append(np.mean([one.brightness for one in frames]))
        assert len(frames) == 60 and [one.time for one in frames] == sorted(one.time for one in frames)
        lines = (tmp_path / str(month) / "frames" / "frames.csv").read_text().splitlines()
        assert len({line.split(",")[1] for line in lines[1:]}) == 20
        for one in frames:
            assert (tmp_path / str(month) / "truth" / "labels" / one.name.replace(".jpg", ".txt")).read_text()
            assert (tmp_path / str(month) / "frames" / one.name).read_bytes() == one.content
    assert light[0] > light[1] * 1.1 > light[2] * 1.2


def test_a_day_passes_in_order_from_midnight_to_midnight() -> None:
    rng = np.random.default_rng(0)
    pool = DigitPool(rng)
    pool.take(20, 20)
    times = [one.time for one in frames_of_a_day(1, pool, rng)]
    assert times == sorted(set(times)) and times[0] % 86400 == 0
    assert 86400 - 600 < times[-1] - times[0] < 86400


def test_a_played_day_is_logged_by_its_own_clock_and_seen_by_a_real_challenger(tmp_path: Path) -> None:
    registry, log = tmp_path / "models", tmp_path / "log"
    for number, order in enumerate([(0, 1, 2), (1, 0, 2)]):  # the challenger takes red for green
        liftgate.add_model(write_detector(tmp_path / f"detector{number}.onnx", order=order), registry=registry)
    liftgate.promote("v0", registry=registry, override="a test")
    images = [image.path for image in read(write_images(tmp_path / "set", 12)).images]
    frames = [
        PlayedFrame(f"{number:03d}.png", DAY + number * 1200, images[number % len(images)].read_bytes(), 90.0)
        for number in range(72)
    ]
    server = PlayedServer(registry, log)
    assert server.version == "v0" and server.see([PlayedFrame("first.png", DAY - 60, frames[0].content, 90.0)]) == 1
    result = server.shadow("v0.1", frames, tmp_path / "report")
    rows = sorted(read_log(log), key=lambda row: row.time)
    assert [row.time for row in rows] == [DAY - 60, *(one.time for one in frames)]
    assert {(row.camera, row.model_version) for row in rows} == {("gate", "v0")}
    assert result.test.state.status == "finished" and result.test.state.offered == 72
    assert result.finding.minutes == 1421 and result.finding.rate is not None and result.finding.rate.estimate > 0.2
    assert "v0.1" in (tmp_path / "report" / "report.html").read_text()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["demo", str(tmp_path), "--case", "monthly"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_challenger_that_was_changed_or_is_not_there_is_one_error(tmp_path: Path) -> None:
    registry, log = tmp_path / "models", tmp_path / "log"
    for number in range(2):
        liftgate.add_model(write_detector(tmp_path / f"d{number}.onnx", shift=float(number)), registry=registry)
    liftgate.promote("v0", registry=registry, override="a test")
    server = PlayedServer(registry, log)
    content = next(iter(read(write_images(tmp_path / "set", 6)).images)).path.read_bytes()
    server.see([PlayedFrame("first.png", DAY - 60, content, 90.0)])
    (weights,) = (registry / "v0.1").glob("*.onnx")
    weights.chmod(0o644)
    weights.write_bytes(b"changed")
    with pytest.raises(liftgate.LiftgateError, match="not as it was registered"):
        server.shadow("v0.1", [], tmp_path / "report")
    with pytest.raises(UsageError, match="no such version"):
        server.shadow("v7", [], tmp_path / "report")


@pytest.mark.parametrize("after", [3, 6], ids=["in the middle of the day", "after its last frame"])
def test_a_challenger_whose_process_ends_is_one_error(after: int, tmp_path: Path) -> None:
    registry, log = tmp_path / "models", tmp_path / "log"
    for number in range(2):
        liftgate.add_model(write_detector(tmp_path / f"d{number}.onnx", shift=float(number)), registry=registry)
    liftgate.promote("v0", registry=registry, override="a test")
    content = next(iter(read(write_images(tmp_path / "set", 6)).images)).path.read_bytes()
    server, before = PlayedServer(registry, log), set(psutil.Process().children())
    server.see([PlayedFrame("first.png", DAY - 60, content, 90.0)])

    def frames() -> Iterator[PlayedFrame]:
        for number in range(6):
            if number == after:
                _kill(set(psutil.Process().children()) - before)
            yield PlayedFrame(f"{number}.png", DAY + number * 60, content, 90.0)
        if after == 6:
            _kill(set(psutil.Process().children()) - before)

    with pytest.raises(liftgate.LiftgateError, match="the challenger's process ended"):
        server.shadow("v0.1", frames(), tmp_path / "report")
    assert not (tmp_path / "report").exists()
    assert len(list(read_log(log))) > after  # what the champion saw is logged


def _kill(processes: set[psutil.Process]) -> None:
    (challenger,) = processes
    challenger.kill()
    with contextlib.suppress(psutil.NoSuchProcess):  # whoever started it has asked for its exit code already
        while challenger.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif("LIFTGATE_MONTHS" not in os.environ, reason="a job of its own: minutes of training")
def test_three_months_with_a_real_trainer_and_a_shadow_end_with_their_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "months"
    assert main(["demo", str(folder), "--case", "monthly", "--json"]) == 0
    streams = capsys.readouterr()
    told = json.loads(streams.out)
    page = Path(told["report"]).with_name("months.html").read_text()
    assert page.count('<th scope="col">') == 3 and "month-3.test" in page and "drift in" in page
    versions = liftgate.list_models(registry=folder / "models")
    assert [one.version for one in versions] == ["v0", "v0.1", "v0.2", "v0.3"]
    promoted = ["v0", *re.findall(r"(v0\.\d) is promoted", streams.err)]
    assert [one.version for one in versions if one.is_champion] == promoted[-1:] and all(
        one.exports for one in versions
    )
    for month in (1, 2, 3):
        assert (folder / f"shadow-v0.{month}" / "report.html").is_file()
    assert set(told["verdicts"]) <= {"kept", "lift_month_3"}
    assert liftgate.verify_models(registry=folder / "models").ok
