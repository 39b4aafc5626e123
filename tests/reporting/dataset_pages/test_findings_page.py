"""The page of findings: every finding, boxes both ways, pairs of copies; names from strangers stay text."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from checks.mistakes import with_mistake
from checks.small_set import SmallSet, build
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.reporting.dataset_pages.findings import MAX_EXAMPLES, findings_page, render_findings


@pytest.fixture
def small(tmp_path: Path) -> SmallSet:
    build(tmp_path / "sound")
    return SmallSet(tmp_path / "sound", tmp_path / "case" / "small")


def rendered(subject: Subject, tmp_path: Path) -> str:
    result = run(subject, ignore={"images.no_background": "a <b>reason</b>"})
    return render_findings(findings_page(result, subject), tmp_path / "check.html").read_text()


def test_boxes_are_drawn_as_stored_and_as_they_should_be_read(small: SmallSet, tmp_path: Path) -> None:
    text = rendered(Subject({"small": with_mistake(small.read(), "mirrored")}), tmp_path)
    assert "the boxes are mirrored" in text and "as stored" in text and "read as: mirrored" in text
    assert text.count("<image href=") == 2 * MAX_EXAMPLES


def test_labels_that_fit_are_shown_too(small: SmallSet, tmp_path: Path) -> None:
    text = rendered(small.subject(), tmp_path)
    assert (
        "Nothing found in small" in text
        and "Labels that fit" in text
        and text.count("<image href=") == 2 * MAX_EXAMPLES
    )


def test_a_named_row_is_drawn_as_stored_and_as_a_fix_writes_it(small: SmallSet, tmp_path: Path) -> None:
    small.add_row("0 0.5 0.5 0.0 0.2")
    subject = small.subject()
    found = findings_page(run(subject, select=["labels.zero_area"]), subject)
    ((row,),) = found.groups
    before, after = row.shots
    assert (before.note, after.note) == ("as stored", "as `--fix` writes it")
    assert [mark.kind for mark in before.marks].count("only-b") == 1 and len(after.marks) == len(before.marks) - 1


@pytest.mark.parametrize(("row", "note"), [("1 0.9 0.5 0.3 0.3", "as stored"), ("1 1.3 0.5 0.2 0.2", "outside")])
def test_a_row_that_could_not_be_used_is_drawn_from_its_file(small: SmallSet, row: str, note: str) -> None:
    """It is in no label that was read; the part of it in the picture is marked."""
    small.add_row(row.replace("0.9", "1.02"), number=7)
    subject = small.subject()
    ((found,),) = findings_page(run(subject, select=["labels.out_of_range"]), subject).groups
    before, after = found.shots
    (mark,) = before.of("only-b")
    assert note in before.note and not after.of("only-b")
    left, top, right, bottom = mark.xyxy
    assert 0 <= left <= right <= before.width and 0 <= top < bottom <= before.height


@pytest.mark.parametrize("id_", ["labels.out_of_range", "labels.dropped_image"])
def test_the_wrong_row_is_marked_in_every_image_of_a_finding(small: SmallSet, id_: str) -> None:
    for number in (7, 8, 9):
        small.add_row("1 1.02 0.5 0.3 0.3", number=number)
    subject = small.subject()
    ((found,),) = findings_page(run(subject, select=[id_]), subject).groups
    assert [len(shot.of("only-b")) for shot in found.shots[::2]] == [1, 1, 1]


def test_at_most_twelve_examples_are_drawn(small: SmallSet, tmp_path: Path) -> None:
    for number in range(5, 25):
        small.add_row("0 0.5 0.5 0.0 0.2", "train", number)
        small.add_row("0 0.4 0.4 0.01 0.01", "train", number)
    subject = small.subject()
    found = findings_page(run(subject, select=["labels.speck"]), subject)
    assert len(found.groups[0][0].shots) == 2 * MAX_EXAMPLES


def test_a_finding_is_rejected_with_a_reason_that_the_next_check_takes(small: SmallSet, tmp_path: Path) -> None:
    small.add_row("0 0.5 0.5 0.0 0.2")
    text = rendered(small.subject(), tmp_path)
    assert 'data-reject="labels.zero_area"' in text and "--ignore" in text and "ignore:" in text


def test_both_images_of_a_pair_are_shown(small: SmallSet, tmp_path: Path) -> None:
    Image.open(small.image("train", 5)).resize((150, 150)).save(small.image("val", 5))
    subject = small.subject()
    found = findings_page(run(subject, select=["splits.leak_near"]), subject)
    ((row,),) = found.groups
    assert [shot.note for shot in row.shots] == ["train", "val"]
    assert "hint:" in render_findings(found, tmp_path / "check.html").read_text()


def test_names_from_strangers_stay_text(small: SmallSet, tmp_path: Path) -> None:
    small.keys(names=["<script>alert(1)</script>", "<script>alert(1)</script>s", "spoon"])
    text = rendered(small.subject(), tmp_path)
    assert "classes.names" in text and "&lt;script&gt;alert" in text and "<script>alert" not in text


def test_a_page_says_nothing_of_the_machine_that_wrote_it(small: SmallSet, tmp_path: Path) -> None:
    next((small.root / "labels").rglob("*.txt")).write_text("0 2 2 9 9\n")
    subject = small.subject()
    assert any(str(small.root) in finding.where for finding in run(subject).findings), "programs get the whole path"
    text = rendered(subject, tmp_path)
    assert str(tmp_path) not in text
    assert f'<span class="soft">{small.root.name}/labels/' in text


def test_only_whole_folders_are_left_out() -> None:
    found = Finding("a.b", "error", "/data/set/a.txt:1", "/mnt/data/set/b.txt is /data/set/b.txt", "x/data/set/c")
    short = found.without_folders([Path("/data"), Path("/")])
    assert (short.where, short.message) == ("set/a.txt:1", "/mnt/data/set/b.txt is set/b.txt")
    assert short.hint == "x/data/set/c"
