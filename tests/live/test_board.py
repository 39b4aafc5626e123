"""The board: what studies do now and what was decided, for this machine and anybody who has the token."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.errors import UsageError
from liftgate.ledger.workspace import Workspace
from liftgate.live.page import render_page
from liftgate.live.read import Board, places, read_board, read_study
from liftgate.live.server import COOKIE, board_app
from liftgate.study.study_file import load
from pipeline.conftest import gate as gate
from pipeline.conftest import one_arm as one_arm
from pipeline.conftest import write_study as write_study
from pipeline.gated import Gate, wait_until
from reporting.test_browser import CONTRAST

Write = Callable[..., Path]
TOKEN = "a-token-of-a-test"
STAGE = {
    "weights": "start.yaml",
    "data": "scenes",
    "recipe": {"epochs": 6, "lr0": 0.5},
    "expect": {1: [0.9, 1.0], 6: [0.0, 1.0]},
    "decide": [{"at": 5, "continue_if": "mAP50 > 0.01"}],
}


@pytest.fixture
def running(one_arm: Write, gate: Gate) -> Iterator[Path]:
    """The study.yaml of a study that another process runs and that waits after its first epoch."""
    path = one_arm(arms={"long": [STAGE]}, budget={"usd": 10, "usd_per_hour": 2, "gpu_hours": 4})
    process = subprocess.Popen(
        [sys.executable, "-m", "liftgate", "run", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    gate.wait_for_epoch(1)
    wait_until(lambda: [one.epoch for one in api.status(path)] == [1], "the report of the first epoch")
    yield path
    gate.open()
    process.wait(60)


@pytest.fixture
def client() -> Any:
    testclient = pytest.importorskip("starlette.testclient", reason="the extra `board` is not installed")
    pytest.importorskip("uvicorn", reason="the extra `board` is not installed")
    return testclient.TestClient


def board_of(path: Path) -> Board:
    return read_board(*places([path]))


def test_a_finished_study_has_its_answer_verdicts_and_findings(write_study: Write) -> None:
    path = write_study()
    report = api.run(path).report
    (study,) = board_of(path).studies
    assert study.status is not None and study.status.state == "finished"
    assert study.answer is not None
    page = render_page(board_of(path))
    assert study.answer.sentence in report.read_text(), "the same answer as the report's"
    assert study.answer.sentence in page
    (verdict,) = study.verdicts
    assert (verdict.gate, verdict.word) == ("lift", study.answer_word)
    assert study.report == report and study.question == "Does a longer training lift it?"


def test_what_runs_now_is_shown_against_its_expectation_decision_points_and_budget(running: Path) -> None:
    (study,) = board_of(running).studies
    assert study.status is not None and study.status.state == "running" and study.status.epoch == 1
    assert study.chart is not None
    actual, least, most = study.chart.series
    assert [epoch for epoch, _ in actual.points] == [1]
    assert least.points == ((1, 0.9), (6, 0.0)) and most.points == ((1, 1.0), (6, 1.0))
    assert [(one.epoch, one.rule, one.passed) for one in study.points] == [(5, "mAP50 > 0.01", False)]
    money, hours = study.budget
    assert money.limit == "$10.00" and money.share is not None and 0 <= money.share < 0.01
    assert hours.limit == "4 h 00 min"
    assert study.answer is None, "nothing was decided yet"


def test_studies_below_a_folder_and_a_registry_of_models_are_found(write_study: Write, tmp_path: Path) -> None:
    path = write_study()
    api.run(path)
    api.add_model(path, registry=tmp_path / "models", arm="long")
    board = board_of(tmp_path)
    assert [one.name for one in board.studies] == ["colours"]
    (registry,) = board.registries
    assert [(one.version, one.is_champion) for one in registry.models] == [("v0", False)]
    assert "v0" in render_page(board)


def test_a_damaged_ledger_is_said_and_the_others_are_shown(write_study: Write, tmp_path: Path) -> None:
    api.run(write_study())
    api.run(write_study(study="second"))
    folder = tmp_path / "runs" / "second"
    (folder / "ledger.sqlite").write_bytes(b"no ledger at all" * 100)
    first, second = board_of(tmp_path).studies
    assert first.verdicts and not first.problem
    assert second.status is None and second.problem
    assert "Cannot be read:" in render_page(board_of(tmp_path))


def test_a_study_whose_yaml_and_data_are_gone_still_has_its_verdicts(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    folder = Workspace(load(path)).folder
    path.unlink()
    shutil.rmtree(path.parent / "scenes")
    study = read_study(folder)
    assert study.verdicts and study.question == "Does a longer training lift it?" and not study.problem


def test_a_place_that_is_not_there_is_an_error_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such study or folder"):
        api.board(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no such port"):
        api.board(tmp_path, port=99999)


def test_names_from_strangers_stay_words(write_study: Write) -> None:
    path = write_study(question="<script>alert(1)</script>?")
    api.run(path)
    page = render_page(board_of(path))
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_only_the_token_opens_it_and_it_leaves_the_address_at_once(client: Any, write_study: Write) -> None:
    path = write_study()
    api.run(path)
    app = board_app([path], TOKEN)
    paths = ("/", "/state", "/events", "/report/0", "/board.css", "/board.js")
    for base in ("http://127.0.0.1:8765", "http://localhost:9000", "http://[::1]:1"):
        stranger = client(app, base_url=base)
        assert [stranger.get(one).status_code for one in paths] == [403] * 6
        assert stranger.get("/?token=wrong").status_code == 403
    owner = client(app, base_url="http://127.0.0.1:8765")
    first = owner.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert "HttpOnly" in first.headers["set-cookie"] and "SameSite=strict" in first.headers["set-cookie"]
    assert owner.get("/").status_code == 200 and TOKEN not in owner.get("/").text


def test_a_page_that_points_its_own_name_here_is_refused(client: Any, tmp_path: Path) -> None:
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example:8765", ""):
        visitor = client(board_app([tmp_path], TOKEN), base_url="http://127.0.0.1", cookies={COOKIE: TOKEN})
        assert visitor.get("/state", headers={"host": host}).status_code == 421, host


def test_it_answers_nothing_but_reading_and_changes_no_file(client: Any, write_study: Write) -> None:
    path = write_study()
    api.run(path)
    before = {one: one.stat().st_mtime_ns for one in path.parent.rglob("*")}
    owner = client(board_app([path], TOKEN), base_url="http://127.0.0.1", cookies={COOKIE: TOKEN})
    for one in ("/", "/state", "/report/0", "/board.css", "/board.js"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert owner.request(method, one).status_code == 405
        assert owner.get(one).status_code == 200
        assert owner.get(one).headers["cache-control"] == "no-store"
    assert owner.get("/report/7").status_code == 404 and owner.get("/report/../../study.yaml").status_code == 404
    assert "default-src 'none'" in owner.get("/").headers["content-security-policy"]
    assert owner.get("/report/0").text == Workspace(load(path)).report.read_text()
    assert {one: one.stat().st_mtime_ns for one in path.parent.rglob("*")} == before
    (part,) = owner.get("/state").json()
    assert part["id"] == "study-0" and "colours" in part["html"]


@contextmanager
def tunnel(far_port: int) -> Iterator[int]:
    """Open another port that leads to the board, as the near end of `ssh -L` does."""
    ended = threading.Event()

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", far_port)) as far, contextlib.suppress(OSError):
            while not ended.is_set():
                for source in select.select([near, far], [], [], 0.1)[0]:
                    if not (data := source.recv(65536)):
                        return
                    (far if source is near else near).sendall(data)

    with ThreadPoolExecutor(32) as pool, socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while not ended.is_set():
                if select.select([listening], [], [], 0.1)[0]:
                    pool.submit(carry, listening.accept()[0])

        pool.submit(accept)
        yield listening.getsockname()[1]
        ended.set()
        pool.shutdown()


@pytest.fixture
def address(running: Path) -> Iterator[str]:
    """The address that `liftgate board` prints, of a process of its own."""
    pytest.importorskip("uvicorn", reason="the extra `board` is not installed")
    command = [sys.executable, "-m", "liftgate", "board", str(running), "--port", "0", "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.strip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the board ended"
            text += line
        yield json.loads(text)["address"]
        process.terminate()


def test_in_a_browser_it_changes_by_itself_while_a_training_goes_on(
    browser: Any, address: str, running: Path, gate: Gate
) -> None:
    match = re.match(r"http://127\.0\.0\.1:(\d+)/\?token=\S{20,}$", address)
    assert match
    with tunnel(int(match[1])) as port:
        context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address.replace(f"127.0.0.1:{match[1]}", f"localhost:{port}"))
        assert page.url == f"http://localhost:{port}/"
        page.locator("main", has_text="epoch 1 of 6").wait_for()
        page.locator("#link", has_text="live").wait_for()
        assert page.locator(".chart polyline").count() >= 2, "the expected trajectory is drawn"
        assert "ahead" in page.inner_text("main") and "$10.00" in page.inner_text("main")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate(CONTRAST) == []
        page.evaluate("window.stillHere = true")
        gate.let_pass(2)
        page.locator("main", has_text="epoch 3 of 6").wait_for(timeout=60_000)
        gate.open()
        page.locator(".state.finished").wait_for(timeout=60_000)
        page.locator(".plain").wait_for(timeout=60_000)
        assert page.evaluate("window.stillHere"), "it was not loaded again"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "theme"
        page.click("text=The report")
        page.locator("h1", has_text="Does a longer training lift it?").wait_for()
        assert complaints == []
        context.close()
