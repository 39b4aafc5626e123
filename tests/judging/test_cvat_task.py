"""Questions answered in CVAT: the numbers of the page's file, and everything refused that is refused there."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest

import liftgate
from judging.two_models import Models, Person, two_models
from liftgate.cli import main
from liftgate.data.core.archive import pack
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import cvat
from liftgate.errors import DataError
from liftgate.judging.answers import Answer, answers_table
from liftgate.judging.cvat_answers import read_cvat_answers
from liftgate.judging.cvat_task import BLUE, COUNTED, FOUND, IMAGE, ONE, OPEN, ORANGE, shown_text
from liftgate.judging.draw import MISSED, Draw, Until
from liftgate.services.judging import judge
from liftgate.testing.data import picture

GROUPS = 10


class Study(NamedTuple):
    models: Models
    folder: Path
    draw: Draw
    answers: list[Answer]

    @property
    def task(self) -> Path:
        return self.folder / "cvat"

    @property
    def xml(self) -> str:
        return (self.task / "annotations.xml").read_text(encoding="utf-8")


def with_pictures(models: Models, folder: Path, classes: Sequence[str] = ("cat", "dog")) -> Models:
    """The models with images that exist and classes of these names."""
    file = picture(folder / "one.jpg", (640, 640))
    names = tuple(classes)
    truth = replace(models.truth.with_images([replace(one, path=file) for one in models.truth.images]), classes=names)
    return Models(truth, *(replace(one, classes=names) for one in (models.control, models.treatment)))


def study_of(models: Models, folder: Path, until: Until | None = None) -> Study:
    dataset, control, treatment = models
    made = judge(control, treatment, dataset, folder, budget=60, until=until, to="cvat")
    return Study(models, folder, made.draw, Person(models).answers(made.draw))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("cvat")
    return study_of(with_pictures(two_models(5, groups=GROUPS, per_group=4), root), root / "judging")


IN_CVAT = {"first": "only blue", "second": "only orange"}


def answered(study: Study, path: Path, answers: Sequence[Answer] | None = None, assignee: str = "") -> Path:
    """What CVAT exports after somebody has given these answers."""
    words = {one.question: one.answer for one in (study.answers if answers is None else answers)}
    root = ElementTree.fromstring(study.xml)
    for image in root.iter("image"):
        id_ = Path(image.get("name") or "").stem
        for attribute in image.iterfind("box/attribute[@name='answer']"):
            attribute.text = IN_CVAT.get(words.get(id_, OPEN), words.get(id_, OPEN))
    if assignee:
        task = root.find("meta/task")
        assert task is not None
        ElementTree.SubElement(ElementTree.SubElement(task, "assignee"), "username").text = assignee
    if path.suffix == ".zip":
        return pack(path, [("annotations.xml", ElementTree.tostring(root))])
    path.write_bytes(ElementTree.tostring(root))
    return path


def compared(study: Study, *files: Path, **more: Any) -> Any:
    _, control, treatment = study.models
    return liftgate.compare_judgements(study.folder, files, control, treatment, **more)


@pytest.mark.parametrize("name", ["task_7.zip", "task_7.xml"])
@pytest.mark.parametrize("metric", ["recall", "precision"])
def test_the_numbers_are_those_of_the_same_answers_on_the_page(
    study: Study, tmp_path: Path, name: str, metric: str
) -> None:
    page = tmp_path / "task_7.csv"
    page.write_bytes(answers_table(study.draw, [replace(one, seconds=None, person="") for one in study.answers]))
    by_page = compared(study, page, metric=metric).to_dict()
    by_cvat = compared(study, answered(study, tmp_path / name), metric=metric).to_dict()
    assert by_cvat == by_page
    assert by_cvat["n_groups"] == GROUPS and by_cvat["judgements"]["people"] == ["task_7"]
    assert {one.answer for one in study.answers} >= {"yes", "no", "both", "first", "0"}


def test_doubts_and_bounds_come_home(study: Study, tmp_path: Path) -> None:
    doubting = [replace(one, answer="unsure") for one in study.answers]
    place = next(i for i, one in enumerate(study.draw.questions) if one.kind == MISSED)
    doubting[place] = replace(doubting[place], answer="at most 3")
    found = read_cvat_answers(answered(study, tmp_path / "ann.xml", doubting), study.draw)
    assert [(one.question, one.answer, one.person) for one in found] == [
        (one.question, one.answer, "ann") for one in doubting
    ]


def test_the_person_is_the_one_that_the_task_is_assigned_to_and_two_are_compared(study: Study, tmp_path: Path) -> None:
    ann = answered(study, tmp_path / "a.xml", assignee="ann")
    other = list(study.answers)
    place = next(i for i, one in enumerate(other) if one.answer == "yes")
    other[place] = replace(other[place], answer="no")
    ben = answered(study, tmp_path / "b.zip", other, assignee="ben")
    with pytest.raises(DataError, match=r"people disagree about 1 of 60 questions.*got ann: yes, ben: no"):
        compared(study, ann, ben)
    both = compared(study, ann, ben, conflicts_unsure=True)
    assert both.answers.people == ("ann", "ben") and both.answers.n_shared > 40
    with pytest.raises(DataError, match="is answered twice by ann"):
        compared(study, ann, answered(study, tmp_path / "again.xml", assignee="ann"))


def test_two_jobs_of_a_task_are_one_set_of_answers(study: Study, tmp_path: Path) -> None:
    halves = [tmp_path / "job_1.xml", tmp_path / "job_2.xml"]
    text = answered(study, tmp_path / "whole.xml").read_text()
    images = re.findall(r"<image.*?</image>", text, re.DOTALL)
    for path, part in zip(halves, (images[:30], images[30:]), strict=True):
        path.write_text(f"<annotations>{''.join(part)}</annotations>")
    assert compared(study, *halves).comparison == compared(study, tmp_path / "whole.xml").comparison
    with pytest.raises(DataError, match="30 of 60 questions have no answer"):
        compared(study, halves[0])


def test_neither_model_nor_confidence_nor_names_of_images_are_in_the_task(study: Study) -> None:
    with zipfile.ZipFile(study.task / "images.zip") as archive:
        names = archive.namelist()
        sizes = [PIL.Image.open(archive.open(name)).size for name in names]
    assert names == [f"{study.draw.hash}/{one.id}.jpg" for one in study.draw.questions] == sorted(names)
    root = ElementTree.fromstring(study.xml)
    assert [(int(one.get("width", 0)), int(one.get("height", 0))) for one in root.iter("image")] == sizes
    for name in ("annotations.xml", "labels.json", "README.md"):
        text = (study.task / name).read_text()
        assert not re.search(r"control|treatment|score|g0\d_", text), name
    assert not (study.folder / "judge.html").exists()


def test_a_pair_is_blue_and_orange_in_the_order_of_the_draw_and_found_boxes_in_the_order_of_place(study: Study) -> None:
    images = {Path(one.get("name") or "").stem: one for one in ElementTree.fromstring(study.xml).iter("image")}
    leaders = set()
    for question in study.draw.questions:
        boxes = images[question.id].findall("box")
        labels = [one.get("label") for one in boxes if one.get("label") != COUNTED]
        if question.kind == MISSED:
            assert labels == [IMAGE] + [FOUND] * len(question.marks)
            places = [(one.findtext("attribute"), float(one.get("xtl", "nan"))) for one in boxes[1:]]
            assert places == sorted(places), "by class and place, not by model"
        elif len(question.marks) == 2:
            assert labels == [BLUE, ORANGE]
            assert [one.findtext("attribute") for one in boxes[:2]] == [mark.cls for mark in question.marks]
            leaders.add(question.marks[0].model)
        else:
            assert labels == [ONE]
    assert leaders == {"control", "treatment"}


def test_cvat_is_told_of_every_label_and_value_that_the_file_uses(study: Study) -> None:
    labels = {one["name"]: one for one in json.loads((study.task / "labels.json").read_text())}
    root = ElementTree.fromstring(study.xml)
    for box in root.iter("box"):
        known = {one["name"]: one for one in labels[box.get("label") or ""]["attributes"]}
        assert {one.get("name") for one in box} <= set(known)
        for one in box.iterfind("attribute[@name='answer']"):
            assert one.text == known["answer"]["default_value"] == OPEN
    assert labels[BLUE]["attributes"][1]["values"] == [OPEN, "both", "only blue", "only orange", "neither", "unsure"]
    assert {one.findtext("name") for one in root.iter("label")} == set(labels)
    # And the reader of CVAT files takes it as one.
    assert len(cvat.read(study.task / "annotations.xml").images) == 60


def edited(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert re.search(old, text, re.DOTALL), old
        return re.sub(old, new, text, count=1, flags=re.DOTALL)

    return change


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "another draw": (edited("[0-9a-f]{64}/", "0" * 64 + "/"), "answers to another draw"),
    "a question of another draw": (edited(r"/q01\.jpg", "/q999.jpg"), "no such question in the draw"),
    "another task": (edited(r'"[0-9a-f]{64}/q01\.jpg"', '"street.jpg"'), "not a picture of a judgement"),
    "an open question": (edited(">(yes|no)<", f">{OPEN}<"), "1 of 60 questions have no answer"),
    "an emptied answer": (edited(">(yes|no)<", "><"), "1 of 60 questions have no answer"),
    "another word": (edited(">(yes|no)<", ">perhaps<"), "not an answer to q"),
    "a word for a pair": (edited(">(yes|no)<", ">both<"), "not an answer to q"),
    "a question twice": (edited("(<image.*?</image>)", r"\1\1"), "q01 is there twice"),
    "a copied box": (edited(r'(<box label="fits\?".*?</box>)', r"\1\1"), "is answered twice"),
    "a deleted box": (edited(r'<box label="fits\?".*?</box>', ""), "the boxes of q.* were changed"),
    "a moved box": (edited(r'(label="orange".*?xtl=")', r"\g<1>9"), "the boxes of q.* were changed"),
    "another class": (edited(r'(label="fits\?".*?"class">)[a-z]*', r"\1bird"), "the boxes of q.* were changed"),
    "a box without a place": (edited(' xtl="[^"]*"', ""), "a box without its place"),
    "a lost answer": (edited('<attribute name="answer">(yes|no)</attribute>', ""), "has lost its answer"),
    "half a file": (lambda text: text[: len(text) // 2], "the XML is broken"),
    "half of its images": (lambda text: text[: text.index("<image", len(text) // 2)] + "</annotations>", "no answer"),
    "no image": (edited("<image.*</image>", ""), "no answers in this export"),
    "another XML": (lambda text: text.replace("annotations", "answers"), "not a CVAT XML"),
    "a bomb": (lambda text: '<!DOCTYPE a [<!ENTITY b "c">]>' + text, "the XML is refused"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_export_that_is_not_the_answers_to_this_draw_is_refused(study: Study, tmp_path: Path, case: str) -> None:
    change, message = BAD[case]
    path = answered(study, tmp_path / "ann.xml")
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        compared(study, path)


def test_an_edited_draw_and_a_broken_zip_are_refused(study: Study, tmp_path: Path) -> None:
    path = answered(study, tmp_path / "ann.zip")
    draw = tmp_path / "draw.json"
    draw.write_text((study.folder / "draw.json").read_text().replace('"seed": 0', '"seed": 1'))
    _, control, treatment = study.models
    with pytest.raises(DataError, match="the draw was edited"):
        liftgate.compare_judgements(draw, path, control, treatment)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="the zip cannot be read"):
        compared(study, path)


@pytest.mark.parametrize("names", [["a\nb", "tab\there"], ["</box>&", "\x1b[2J\u202e"], [" two  blanks ", "é\udcff"]])
def test_odd_names_of_classes_go_out_and_come_home(tmp_path: Path, names: list[str]) -> None:
    odd = study_of(with_pictures(two_models(5, groups=6, per_group=4), tmp_path, names), tmp_path / "judging")
    assert compared(odd, answered(odd, tmp_path / "ann.xml")).answers.people == ("ann",)
    shown = {one.text for one in ElementTree.fromstring(odd.xml).iterfind("image/box/attribute[@name='class']")}
    assert {shown_text(name) for name in names} <= shown


def test_judging_may_stop_after_any_group(tmp_path: Path) -> None:
    models = with_pictures(two_models(8, groups=12, per_group=4), tmp_path)
    until = study_of(models, tmp_path / "judging", Until("precision", -0.2))
    done = set(until.draw.group_order[:7])
    kept = [
        answer
        for one, answer in zip(until.draw.questions, until.answers, strict=True)
        if until.draw.images[one.image].group in done
    ]
    result = compared(until, answered(until, tmp_path / "ann.xml", kept))
    assert result.progress is not None and result.progress.groups == 7


def test_boxes_that_reach_beyond_the_image_are_cut_at_its_edge(tmp_path: Path) -> None:
    models = with_pictures(two_models(5, groups=6, per_group=4), tmp_path)

    def shifted(one: Predictions) -> Predictions:
        return replace(one, boxes=one.boxes + np.array([300, -200, 300, -200]))

    dataset: Dataset = models.truth
    beyond = Models(dataset, shifted(models.control), shifted(models.treatment))
    made = judge(beyond.control, beyond.treatment, dataset, tmp_path / "out", budget=40, to="cvat")
    for image in ElementTree.parse(tmp_path / "out/cvat/annotations.xml").getroot().iter("image"):
        for box in image.iter("box"):
            left, top, right, bottom = (float(box.get(side, "nan")) for side in ("xtl", "ytl", "xbr", "ybr"))
            assert 0 <= left < right <= float(image.get("width", 0))
            assert 0 <= top < bottom <= float(image.get("height", 0))
    assert len(made.draw.questions) == 40


def test_from_two_models_to_a_verdict_on_the_command_line(tmp_path: Path, capsys: Any) -> None:
    from liftgate.data.formats.coco.predictions import write_predictions

    models = two_models(5, groups=6, per_group=4)
    for number, one in enumerate(models.truth.images):
        picture(tmp_path / "images" / one.id, (64, 64), seed=number)
    arms = [str(write_predictions(one, models.truth, tmp_path / f"{name}.json"))
            for name, one in (("old", models.control), ("new", models.treatment))]  # fmt: skip
    out = tmp_path / "judging"
    words = ["judge", *arms, "--images", str(tmp_path / "images"), "--groups", r"^(?P<group>g\d+)_", "--budget", "50"]
    assert main([*words, "--classes", "cat", "dog", "--to", "cvat", "--out", str(out)]) == 0
    assert "compare --judgements EXPORT.zip" in capsys.readouterr().out
    text = (out / "cvat/annotations.xml").read_text()
    text = re.sub(r'("fits\?".*?"answer">)open', r"\1yes", text)
    text = re.sub(r'("blue".*?"answer">)open', r"\1both", text)
    (out / "ann.xml").write_text(re.sub(r'("missed\?".*?"answer">)open', r"\g<1>0", text))
    by = ["--judgements", str(out / "ann.xml"), "--control", arms[0], "--treatment", arms[1]]
    assert main(["compare", *by, "--margin", "-0.9", "--json"]) in (0, 11)
    found = json.loads(capsys.readouterr().out)
    assert found["judgements"]["n_answers"] == 50 and found["judgements"]["people"] == ["ann"]
