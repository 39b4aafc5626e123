"""The board shows a study's months: every run beside the others, from the ledgers of the study and of its registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from liftgate import api
from liftgate.live import months
from liftgate.live.page import render_page
from liftgate.live.read import BoardStudy, places, read_board
from liftgate.live.server import BoardFiles
from liftgate.testing.backends import write_tree
from reporting.test_browser import CONTRAST

STUDY: dict[str, Any] = {
    "study": "colours",
    "question": "Does a longer training lift it?",
    "backend": "toy",
    "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
    "gates": {
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05}
    },
    "flow": ["check", "train", "lift"],
    "budget": {"usd": 10, "usd_per_hour": 2},
}


def arms(**long: float) -> dict[str, Any]:
    stage = {"weights": "start.yaml", "data": "scenes"}
    short = {"epochs": 1, "lr0": 0.0001}
    return {"arms": {"short": [{**stage, "recipe": short}], "long": [{**stage, "recipe": long}]}}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two months: what the first trained was promoted, the second brought nothing."""
    folder = tmp_path_factory.mktemp("months") / "here"
    write_tree(folder / "scenes", train=24, held_out=12)
    (folder / "start.yaml").write_text("nc: 2\n")
    study = folder / "study.yaml"
    for month, long in enumerate([arms(epochs=6, lr0=0.5), arms(epochs=2, lr0=0.0001)]):
        study.write_text(yaml.safe_dump(STUDY | long, sort_keys=False))
        api.run(study)
        if month == 0:
            api.add_model(study, registry=folder / "models", arm="long")
            api.promote("v0", registry=folder / "models")
    return folder


@pytest.fixture
def loop(played: Path, tmp_path: Path) -> Path:
    """The study.yaml of a copy of these months."""
    return Path(shutil.copytree(played, tmp_path / "here")) / "study.yaml"


def study_of(folder: Path) -> BoardStudy:
    return next(one for one in read_board(*places([folder])).studies if one.name == "colours")


def test_every_month_has_verdicts_numbers_labels_cost_and_the_version_in_use(loop: Path) -> None:
    shown = study_of(loop.parent).months
    assert shown is not None
    second, first = shown.months
    assert (first.answer, second.answer) == ("PASS", "MARGINAL"), "the newest first"
    page = unescape(render_page(read_board(*places([loop.parent]))))
    part = page.split("<h3>Months</h3>")[1].split("</table>")[0]
    for month in shown.months:
        assert month.ended in part and month.spent in part and "$" in month.spent
        for cell in month.measured:
            assert cell.text in part and f"{cell.n_images} images in {cell.n_groups} groups" in part
        for data in month.labels:
            assert f"{data.dataset}.{data.split}: {data.n_images} images, {data.n_objects} objects" in part
    assert {one.champion for one in shown.months} == {"v0"} and first.basis in part
    assert part.count('<th scope="row">') == 2


def test_it_says_what_the_page_of_all_months_says(loop: Path) -> None:
    page = unescape(api.months(loop, registry=loop.parent / "models").read_text())
    shown = study_of(loop.parent).months
    assert shown is not None
    for month in shown.months:
        assert month.ended in page and month.spent in page and month.basis in page
        assert all(cell.text in page for cell in month.measured)


def test_the_same_question_run_again_is_no_month(tmp_path: Path) -> None:
    write_tree(tmp_path / "scenes", train=12, held_out=6)
    (tmp_path / "start.yaml").write_text("nc: 2\n")
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY | arms(epochs=1, lr0=0.1), sort_keys=False))
    api.run(study)
    api.run(study)
    assert study_of(tmp_path).months is None
    assert "<h3>Months</h3>" not in render_page(read_board(*places([tmp_path])))


def test_without_a_registry_or_with_two_the_version_in_use_is_not_known(loop: Path) -> None:
    copy = shutil.copytree(loop.parent / "models", loop.parent / "copied")
    two = study_of(loop.parent).months
    for registry in (loop.parent / "models", copy):
        shutil.rmtree(registry)
    none = study_of(loop.parent).months
    for shown in (two, none):
        assert shown is not None and [one.champion for one in shown.months] == [None, None]
    assert "not known" in render_page(read_board(*places([loop.parent])))


def test_a_damaged_registry_hides_no_month(loop: Path) -> None:
    (loop.parent / "models" / "ledger.sqlite").write_bytes(b"no ledger" * 500)
    shown = study_of(loop.parent).months
    assert shown is not None and len(shown.months) == 2 and shown.months[0].champion is None


def test_months_beyond_a_year_are_counted_and_their_command_is_named(
    loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "SHOWN", 1)
    shown = study_of(loop.parent).months
    assert shown is not None and (len(shown.months), shown.n_earlier, shown.months[0].answer) == (1, 1, "MARGINAL")
    assert "1 earlier: <code>liftgate report STUDY --months</code>" in render_page(read_board(*places([loop.parent])))


def test_a_promotion_changes_the_study_s_part_of_the_board(loop: Path) -> None:
    registry = loop.parent / "models"
    files = BoardFiles([loop.parent])
    before = {part.id: part.hash for part in files.parts()}
    api.add_model(loop, registry=registry, arm="long")
    api.promote("v0.1", registry=registry, override="it is asked of a person")
    after = {part.id: part.hash for part in files.parts()}
    assert after["study-0"] != before["study-0"] and after["models-0"] != before["models-0"]


@pytest.fixture
def address(loop: Path) -> Iterator[str]:
    """The address that `liftgate board` prints, of a process of its own."""
    pytest.importorskip("uvicorn", reason="the extra `board` is not installed")
    command = [sys.executable, "-m", "liftgate", "board", str(loop.parent), "--port", "0", "--json"]
    own = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own) as process:
        assert process.stdout is not None
        text = ""
        while not text.strip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the board ended"
            text += line
        yield json.loads(text)["address"]
        process.terminate()


def test_in_a_browser_the_months_fit_a_phone_and_a_desk_in_light_and_dark(browser: Any, address: str) -> None:
    for width, colours in ((390, "dark"), (390, "light"), (1400, "light"), (1400, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message, said=complaints: said.append(message.text))
        page.on("pageerror", lambda error, said=complaints: said.append(str(error)))
        page.goto(address)
        table = page.get_by_role("region", name="Months of colours")
        table.wait_for()
        assert table.locator("tbody tr").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate(CONTRAST) == []
        table.focus()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Months of colours"
        assert complaints == []
        if shots := os.environ.get("LIFTGATE_SHOTS"):
            page.screenshot(path=f"{shots}/months-{width}-{colours}.png", full_page=True)
        context.close()
