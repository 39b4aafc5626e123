"""The page in a real browser: 200 answers by keyboard alone, offline, and their file decides."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import liftgate
from judging.test_review import MODELS as TWELVE
from judging.test_review import planted, surely
from judging.two_models import Models, Person, two_models
from liftgate.checks.probes.label_mistakes import find_mistakes
from liftgate.cli import main
from liftgate.data.formats.coco.predictions import settings_path, write_predictions
from liftgate.judging.draw import MISSED, Draw
from liftgate.judging.draw_files import read_draw
from liftgate.judging.review import draw_review, write_review
from liftgate.testing.data import picture

KEYS = {"yes": "y", "no": "n", "unsure": "u", "both": "y", "neither": "n", "first": "1", "second": "2"}
GROUPS = r"^(?P<group>g\d+)_"


class Study(NamedTuple):
    models: Models
    control: Path
    treatment: Path
    images: Path
    folder: Path
    draw: Draw


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("judge")
    models = two_models(5, groups=10, per_group=12)
    for number, image in enumerate(models.truth.images):
        picture(root / "images" / image.id, (640, 640) if number < 2 else (64, 64), seed=number)
    control = write_predictions(models.control, models.truth, root / "old.json")
    treatment = write_predictions(models.treatment, models.truth, root / "new.json")
    options = ["--images", str(root / "images"), "--classes", "cat", "dog", "--groups", GROUPS, "--budget", "200"]
    assert main(["judge", str(control), str(treatment), *options, "--out", str(root / "judging")]) == 0
    folder = root / "judging"
    return Study(models, control, treatment, root / "images", folder, read_draw(folder))


def keys_of(word: str) -> list[str]:
    return [KEYS[word]] if word in KEYS else list(word) if len(word) == 1 else ["u", "u"]


def test_two_hundred_answers_without_a_mouse_and_a_pause_in_between(browser: Any, study: Study, tmp_path: Path) -> None:
    person, url = Person(study.models), (study.folder / "judge.html").as_uri()
    context = browser.new_context(viewport={"width": 1280, "height": 860}, offline=True, accept_downloads=True)
    complaints: list[str] = []

    def opened() -> Any:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda one: complaints.append(one.url) if not one.url.startswith(("file:", "data:")) else None
        )
        page.goto(url)
        return page

    page = opened()
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    assert len(study.draw.questions) == 200
    for index in range(100):
        for key in keys_of(person.word(study.draw, index)):
            page.keyboard.press(key)
    page.keyboard.press("n")  # a slip, and back
    page.keyboard.press("Backspace")
    assert page.locator("#count").inner_text() == "101 of 200"
    page.close()
    page = opened()  # another day
    assert "Go on at 101 of 200" in page.locator("#begin").inner_text()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")  # hides the boxes
    assert page.locator("#stage").get_attribute("class") == "bare"
    for index in range(100, 200):
        for key in keys_of(person.word(study.draw, index)):
            page.keyboard.press(key)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    answers = tmp_path / "answers.csv"
    download.value.save_as(answers)
    assert complaints == []
    context.close()
    result = liftgate.compare_judgements(study.folder, answers, study.control, study.treatment, metric="recall")
    expected = [person.word(study.draw, index) for index in range(200)]
    assert list(result.answers.by_question.values()) == expected
    assert result.answers.people == ("Ann",)
    truth = liftgate.compare(study.models.truth, study.models.control, study.models.treatment, metric="recall")
    assert result.comparison.delta.low <= truth.delta.estimate <= result.comparison.delta.high


def table_of(page: Any) -> list[list[str]]:
    """Return the rows of the answers.csv that the page would save."""
    return [line.split(",") for line in page.evaluate("table()").splitlines()[1:]]


def test_two_tabs_lose_no_answer_and_answer_no_question_twice(browser: Any, study: Study) -> None:
    url, context = (study.folder / "judge.html").as_uri(), browser.new_context(offline=True)
    first, second = context.new_page(), context.new_page()
    for page in (first, second):
        page.goto(url)
    first.keyboard.type("Ann")
    first.keyboard.press("Enter")
    second.keyboard.press("Enter")
    for _ in range(3):
        first.locator("#keys button").nth(0).click()
    # A click on a question that another tab has answered meanwhile answers nothing.
    second.wait_for_function("document.getElementById('count').innerText.startsWith('4 of')")
    for _ in range(2):
        second.locator("#keys button").nth(0).click()
    second.wait_for_function("document.getElementById('count').innerText.startsWith('6 of')")
    first.wait_for_function("document.getElementById('count').innerText.startsWith('6 of')")
    first.keyboard.press("Backspace")
    first.close()
    second.close()
    page = context.new_page()
    page.goto(url)
    assert "Go on at 5 of 200" in page.locator("#begin").inner_text()
    assert [row[1] for row in table_of(page)] == [one.id for one in study.draw.questions[:4]]
    assert {row[3] for row in table_of(page)} == {"Ann"}
    context.close()


def test_a_key_that_is_held_down_is_one_answer(browser: Any, study: Study) -> None:
    page = browser.new_context(offline=True).new_page()
    page.goto((study.folder / "judge.html").as_uri())
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.down("n" if page.locator("#keys button").count() < 9 else "0")  # repeats until it is let go
    assert len(table_of(page)) == 1
    page.context.close()


def test_the_answers_of_one_person_are_not_saved_as_anothers(browser: Any, study: Study) -> None:
    """A second person who opens the same page, or types #2 behind the address of the open one."""
    url = (study.folder / "judge.html").as_uri()
    page = browser.new_context(offline=True).new_page()
    page.goto(url)
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    page.locator("#keys button").nth(0).click()
    page.goto(url)
    page.reload()
    page.locator("#person").fill("Ben")
    page.keyboard.press("Enter")
    assert "One answer here is of Ann" in page.locator("#warn").inner_text()
    assert page.locator("#intro").is_visible() and {row[3] for row in table_of(page)} == {"Ann"}
    page.evaluate("location.hash = '2'")
    loaded = "typeof table === 'function' && document.getElementById('person').value === ''"
    page.wait_for_function(loaded)
    assert table_of(page) == []
    page.context.close()


def test_a_saved_file_brings_its_persons_name(browser: Any, study: Study, tmp_path: Path) -> None:
    saved = tmp_path / "answers.csv"
    ids = [one.id for one in study.draw.questions[:2]]
    rows = [f'{study.draw.hash},{one},unsure,"Ann, ""A""",1' for one in ids]
    saved.write_text("\r\n".join(["draw,question,answer,person,seconds", *rows, ""]))
    page = browser.new_context(offline=True).new_page()
    page.goto((study.folder / "judge.html").as_uri())
    page.locator("#restore").set_input_files(saved)
    page.wait_for_function("document.getElementById('warn').innerText.startsWith('2 answers')")
    assert "Go on at 3 of 200" in page.locator("#begin").inner_text()
    assert page.locator("#person").input_value() == 'Ann, "A"'
    page.context.close()


def test_likely_mistakes_are_accepted_and_rejected_by_keyboard(browser: Any, tmp_path: Path) -> None:
    """Nine planted mistakes: one answer is taken back, and the saved file is what `check --reviewed` takes."""
    dataset, _ = planted()
    image = picture(tmp_path / "one.jpg", (640, 640))
    dataset = dataset.with_images([replace(one, path=image) for one in dataset.images])
    seen = surely(TWELVE.truth)
    drawn = draw_review(dataset, seen, find_mistakes(dataset, seen))
    write_review(drawn, dataset, tmp_path / "review")
    context = browser.new_context(viewport={"width": 1280, "height": 860}, offline=True, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "review/review.html").as_uri())
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    assert "missing" in page.locator("body").inner_text()
    assert page.title() == "Liftgate: suspected mistakes in labels"
    page.keyboard.press("n")  # a slip, and back
    page.keyboard.press("Backspace")
    for key in "yynynuyyn":
        page.keyboard.press(key)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "answers.csv")
    context.close()
    assert complaints == []
    found = {one.kind: one for one in liftgate.reviewed_mistakes(tmp_path / "review", tmp_path / "answers.csv")}
    assert [(one.mistakes, one.reviewed, one.unsure) for one in found.values()] == [(2, 3, 0), (1, 3, 1), (2, 3, 0)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_phone_and_a_desk_and_answers_to_touch(browser: Any, study: Study, scheme: str, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 780}, color_scheme=scheme, offline=True, has_touch=True
    )
    page = context.new_page()
    page.goto((study.folder / "judge.html").as_uri())
    page.locator("#begin").tap()
    for _ in range(6):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        buttons = page.locator("#keys button")
        for place in range(buttons.count()):
            box = buttons.nth(place).bounding_box()
            assert box["height"] >= 44 and box["width"] >= 44
        buttons.nth(0).tap()
    assert page.locator("#count").inner_text() == "7 of 200"
    context.close()


def test_the_page_names_neither_the_models_nor_their_confidence(study: Study) -> None:
    text = (study.folder / "judge.html").read_text()
    data = json.loads(text.split("const DATA = ", 1)[1].split(";\nconst NAME", 1)[0])
    assert set(data["cards"][0]) == {"id", "kind", "jpeg", "window", "marks", "surer", "turn"}
    assert all(set(mark) == {"cls", "box"} for card in data["cards"] for mark in card["marks"])
    assert "old.json" not in text


def test_a_class_that_is_a_script_stays_text(browser: Any, study: Study, tmp_path: Path) -> None:
    names = ["</script><script>window.bad=1</script>", "<img src=x onerror=window.bad=1>"]
    arms = []
    for source in (study.control, study.treatment):
        arm = Path(shutil.copy(source, tmp_path))
        settings = json.loads(settings_path(source).read_text()) | {"classes": names}
        settings_path(arm).write_text(json.dumps(settings))
        arms.append(str(arm))
    assert main(["judge", *arms, "--images", str(study.images), "--budget", "40", "--out", str(tmp_path / "odd")]) == 0
    page = browser.new_page()
    page.goto((tmp_path / "odd" / "judge.html").as_uri())
    page.keyboard.press("Enter")
    assert page.evaluate("window.bad") is None
    assert page.locator("#stage svg").count() == 1
    page.close()


def test_compare_by_judgements_on_the_command_line(study: Study, tmp_path: Path, capsys: Any) -> None:
    from liftgate.judging.answers import answers_table

    answers = tmp_path / "answers.csv"
    answers.write_bytes(answers_table(study.draw, Person(study.models).answers(study.draw)))
    arms = ["--control", str(study.control), "--treatment", str(study.treatment), "--judgements", str(answers)]
    words = ["compare", *arms, "--draw", str(study.folder), "--metric", "precision", "--margin", "-0.5"]
    capsys.readouterr()
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("PASS: precision of treatment is") and "from the audit of agreed pairs" in text
    assert "10 groups" in text
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "PASS" and found["n_groups"] == 10 and found["judgements"]["n_answers"] == 200
    assert set(found["judgements"]["variance_shares"]) == {"groups", "disagreements", "agreed", "missed"}


def test_bad_input_is_refused_and_nothing_is_written(study: Study, tmp_path: Path, capsys: Any) -> None:
    from liftgate.judging.answers import answers_table

    answers = tmp_path / "answers.csv"
    answers.write_bytes(answers_table(study.draw, Person(study.models).answers(study.draw)))
    arms = ["--control", str(study.control), "--treatment", str(study.treatment)]
    changed = tmp_path / "changed.json"
    changed.write_text(study.control.read_text().replace('"score":0.', '"score":0.1', 1))
    by = ["--judgements", str(answers), "--draw", str(study.folder)]
    where = ["--images", str(study.images), "--classes", "cat", "dog"]
    two = [str(study.control), str(study.treatment)]
    cases = {
        "are not those that the questions were drawn from": ["compare", "--control", str(changed), *arms[2:], *by],
        "control are not those": ["compare", "--control", arms[3], "--treatment", arms[1], *by],
        "what is compared against": ["compare", *arms],
        "the draw has fixed the images": ["compare", *arms, *by, "--groups", "folder"],
        "cannot be judged": ["compare", *arms, *by, "--metric", "mAP50"],
        "cannot read the draw": ["compare", *arms, "--judgements", str(answers)],
        "one of the two": ["judge", *two, *where],
        "the folder is not empty": ["judge", *two, *where, "--out", str(study.folder)],
        "too few judgements": ["judge", *two, *where, "--out", str(tmp_path / "a"), "--budget", "3"],
        "neither model detects anything": ["judge", *two, *where, "--out", str(tmp_path / "a"), "--conf", "1"],
        "not a rule for groups": ["judge", *two, *where, "--out", str(tmp_path / "a"), "--groups", "video"],
    }
    for message, words in cases.items():
        assert main(words) == 2, message
        complaint = capsys.readouterr().err
        assert message in complaint and "Traceback" not in complaint
    assert not (tmp_path / "a").exists()
    assert {one.kind for one in study.draw.questions} >= {MISSED}


def test_an_image_that_cannot_be_read_is_named_before_anything_is_written(study: Study, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(study.images, images)
    broken = images / study.draw.images[study.draw.questions[0].image].id
    broken.write_bytes(broken.read_bytes()[:200])
    words = ["judge", str(study.control), str(study.treatment), "--images", str(images), "--classes", "cat", "dog"]
    assert main([*words, "--groups", GROUPS, "--budget", "200", "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
