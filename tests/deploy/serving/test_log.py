"""A server that keeps a log."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from data.production_log.rows import HOUR
from deploy.serving.running import running
from liftgate.cli import main
from liftgate.data.core.csv_tables import read_table
from liftgate.data.production_log.compaction import compact
from liftgate.data.production_log.log_rows import read_log


def test_every_answer_is_logged_also_if_the_server_is_killed(models: Path, images: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "log"
    answers = []
    with running("--registry", models, "--log", folder) as server:

        def ask() -> None:
            for path in images * 4:
                answers.append(server.predict(path.read_bytes(), f"?image_id={path.name}&camera=gate").json)

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.process.kill()
    assert all(one["logged"] for one in answers)
    rows = list(read_log(folder))
    assert len(rows) == len(answers) == 72
    first = next(one for one in answers if one["image_id"] == images[0].name)
    row = next(one for one in rows if one.image == images[0].name)
    assert [one.cls for one in row.detections] == [one["class"] for one in first["detections"]]
    assert [list(one.box) for one in row.detections] == [one["box"] for one in first["detections"]]
    assert (row.camera, row.model_version, row.width) == ("gate", "v0", 128)
    pixels = np.asarray(Image.open(images[0]).convert("RGB"))
    assert abs(row.brightness - pixels[::8, ::8].mean()) < 0.01


def test_the_next_frames_to_label_come_from_the_log(models: Path, images: list[Path], tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, path in enumerate(images):
        shutil.copy(path, frames / path.name)
        if number == 2:  # the night
            Image.new("RGB", (128, 128), (3, 3, 3)).save(frames / path.name)
    with running("--registry", models, "--log", tmp_path / "log") as server:
        for path in sorted(frames.iterdir()):
            server.predict(path.read_bytes(), f"?image_id={path.name}&camera=gate")
        assert server.stop() == 0
    compact(tmp_path / "log", now=max(one.time for one in read_log(tmp_path / "log")) + HOUR)
    out = tmp_path / "next.csv"
    words = ["data", "sample", str(frames), "--champion", str(tmp_path / "log"), "--out", str(out), "--budget", "1"]
    assert main([*words, "--share", "red=1"]) == 0
    (chosen,) = [row for _, row in read_table(out, ("image",))]
    assert (chosen["image"], chosen["reasons"].split(";")[0]) == (images[2].name, "red")


def test_options_of_a_log_that_is_not_there_are_refused(models: Path) -> None:
    assert main(["serve", "--registry", str(models), "--keep-days", "3"]) == 2
    assert main(["serve", "--registry", str(models), "--log", "x", "--keep-days", "-1"]) == 2
