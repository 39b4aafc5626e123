"""A locked test split inside a study, beside another study, and from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import liftgate
from liftgate import api
from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.errors import Refused, StudyError, UsageError
from liftgate.ledger.lockbox import locked_by
from liftgate.ledger.locked_images import read_locked_images
from liftgate.ledger.records import SplitSummary

Write = Callable[..., Path]
LOCKED = {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "lock": ["test"]}}


def gate(metric: str) -> dict[str, object]:
    return {"arm": "long", "on": "scenes.test", "claims": [{"metric": metric, "at_least": 0.1}], "rule": "point"}


@pytest.fixture
def studied(write_study: Write) -> tuple[Write, Path]:
    """A study that has looked once at its locked test split."""
    arms = {"long": [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 2}}]}

    def write(**changes: object) -> Path:
        plain = {"datasets": LOCKED, "arms": arms, "gates": {"enough": gate("mAP50")}, "flow": ["train", "enough"]}
        return write_study(**{**plain, **changes})

    study = write()
    api.run(study)
    return write, study


def test_a_second_study_on_the_same_test_split_is_told_of_the_first(studied: tuple[Write, Path]) -> None:
    write, _ = studied
    with pytest.raises(Refused, match="one more after 1 opening, 1 of them by colours"):
        api.run(write(study="other"))
    twice = {"scenes": {**LOCKED["scenes"], "openings": {"test": 2}}}
    verdict = api.run(write(study="other", datasets=twice)).verdicts["enough"]
    (caveat,) = [caveat for caveat in verdict["caveats"] if "opening number 2" in caveat]
    assert "1 of them by colours" in caveat and "overstate" in caveat


def test_labels_that_changed_after_the_look_are_refused(studied: tuple[Write, Path], tmp_path: Path) -> None:
    write, _ = studied
    twice = {"scenes": {**LOCKED["scenes"], "openings": {"test": 2}}}
    label = sorted((tmp_path / "scenes").rglob("test*.txt"))
    label = [path for path in label if path.parent.name == "labels"]
    label[0].write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(Refused, match="is not what it was when it was opened"):
        api.run(write(datasets=twice))
    verdict = api.run(write(datasets=twice), open_anyway="one label was wrong").verdicts["enough"]
    assert any(caveat.startswith("contaminated") for caveat in verdict["caveats"])


def test_a_lock_on_a_folder_is_on_the_data_set_in_it_and_not_on_one_below(write_study: Write, tmp_path: Path) -> None:
    write_study(datasets={"scenes": {**LOCKED["scenes"], "path": "scenes"}})
    test = read(tmp_path / "scenes" / "data.yaml").split("test")
    assert [(one.dataset, one.split) for one in locked_by(test, [tmp_path])] == [("scenes", "test")]
    below = replace(test, source=tmp_path / "scenes" / "other" / "data.yaml")
    assert locked_by(below, [tmp_path]) == []


def test_a_lock_holds_before_the_study_has_ever_run(
    write_study: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(datasets=LOCKED)
    truth, found = tmp_path / "scenes" / "data.yaml", tmp_path / "found.json"
    found.write_text("[]")
    words = ["evaluate", "--truth", str(truth), "--predictions", str(found), "--split"]
    assert main([*words, "test"]) == 2
    assert "these images are locked: scenes.test of the study colours" in capsys.readouterr().err
    assert main([*words, "val"]) == 0
    assert not (study.parent / "runs").exists(), "a refusal leaves nothing"
    assert main([*words, "test", "--open-anyway", "--reason", "the labels are checked by hand"]) == 0
    capsys.readouterr()
    assert main(["ledger", "show", str(study), "--kind", "lockbox", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["body"]["contaminated"] and entry["body"]["who"]


def test_the_command_line_refuses_images_that_a_study_locks(
    studied: tuple[Write, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, study = studied
    truth, found = tmp_path / "scenes" / "data.yaml", tmp_path / "found.json"
    found.write_text("[]")
    words = ["evaluate", "--truth", str(truth), "--predictions", str(found), "--split"]
    assert main([*words, "test"]) == 2
    error = capsys.readouterr().err
    assert "these images are locked: scenes.test of the study colours" in error and "--open-anyway --reason" in error
    assert main([*words, "val"]) == 0, "val is free"
    assert main([*words, "test", "--open-anyway"]) == 2, "without a reason"
    assert main([*words, "test", "--reason", "curious"]) == 2, "a reason opens nothing"
    capsys.readouterr()
    assert main([*words, "test", "--open-anyway", "--reason", "the labels are checked by hand", "--json"]) == 0
    said = capsys.readouterr()
    assert "contaminated" in said.err
    assert json.loads(said.out)["settings"]["contaminated"].endswith("opened anyway: the labels are checked by hand")
    assert main(["ledger", "show", str(study), "--kind", "lockbox", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["body"]["reason"] for entry in entries] == [None, "the labels are checked by hand"]
    compare = ["compare", "--truth", str(truth), "--control", str(found), "--treatment", str(found), "--split", "test"]
    assert main(compare) == 2
    with pytest.raises(Refused, match="these images are locked"):
        liftgate.compare(truth, found, found, split="test")
    with pytest.raises(Refused, match="these images are locked"):
        liftgate.evaluate(truth, found, split="test")


def test_the_evaluation_of_the_one_opening_is_written_out(studied: tuple[Write, Path]) -> None:
    _, study = studied
    (path,) = (study.parent / "runs/colours/evaluations").glob("*.json")
    record = json.loads(path.read_text())
    assert path.name.startswith("long-seed-0-on-scenes.test-")
    assert record["intervals"].keys() >= {"mAP50", "recall"} and record["per_class"].keys() == {"red", "blue"}
    assert len(record["images"]) == record["n_images"] == 12 and all("group" in row for row in record["images"])


def _copies(root: Path, folder: Path) -> Iterator[tuple[Path, Path, str]]:
    """Yield the locked images of a tree, where a copy would lie, and its label's text."""
    for line in (root / "test.txt").read_text().splitlines():
        image = root / line
        label = root / "labels" / f"{image.stem}.txt"
        yield image, folder / "images" / f"frame_{len(image.stem)}_{image.stem[-3:]}", label.read_text()


def _yolo(root: Path, folder: Path, save: Callable[[Path, Path], Path], most: int = 99) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for image, copy, label in list(_copies(root, folder))[:most]:
        made = save(image, copy)
        (folder / "labels" / f"{made.stem}.txt").write_text(label)
    (folder / "data.yaml").write_text("val: images\nnames: [rot, blau]\n")
    return folder / "data.yaml"


def _as_they_are(image: Path, copy: Path) -> Path:
    return Path(shutil.copy(image, copy.with_suffix(".png")))


def _as_png(image: Path, copy: Path) -> Path:
    Image.open(image).save(copy.with_suffix(".png"), compress_level=1)
    return copy.with_suffix(".png")


def _as_jpeg(image: Path, copy: Path) -> Path:
    Image.open(image).save(copy.with_suffix(".jpg"), quality=85)
    return copy.with_suffix(".jpg")


def _twice_as_large(image: Path, copy: Path) -> Path:
    with Image.open(image) as picture:
        picture.resize((picture.width * 2, picture.height * 2)).save(copy.with_suffix(".png"))
    return copy.with_suffix(".png")


def _link(image: Path, copy: Path) -> Path:
    copy.with_suffix(".png").symlink_to(image)
    return copy.with_suffix(".png")


def _hard_link(image: Path, copy: Path) -> Path:
    copy.with_suffix(".png").hardlink_to(image)
    return copy.with_suffix(".png")


def _in_capitals(image: Path, copy: Path) -> Path:
    return Path(shutil.copy(image, copy.with_name(image.stem.upper() + ".PNG")))


def _yaml_elsewhere(root: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "other.yaml").write_text(f"path: {root}\nval: test.txt\nnames: [a, b]\n")
    return folder / "other.yaml"


COPIES: dict[str, Callable[[Path, Path], Path]] = {
    "a yaml elsewhere": _yaml_elsewhere,
    "renamed copies": lambda root, folder: _yolo(root, folder, _as_they_are),
    "links under other names": lambda root, folder: _yolo(root, folder, _link),
    "hard links under other names": lambda root, folder: _yolo(root, folder, _hard_link),
    "names in capitals": lambda root, folder: _yolo(root, folder, _in_capitals),
    "saved again as PNG": lambda root, folder: _yolo(root, folder, _as_png),
    "saved again as JPEG": lambda root, folder: _yolo(root, folder, _as_jpeg),
    "twice as large": lambda root, folder: _yolo(root, folder, _twice_as_large),
    "three of them": lambda root, folder: _yolo(root, folder, _as_they_are, most=3),
    "three of them as JPEG": lambda root, folder: _yolo(root, folder, _as_jpeg, most=3),
    "COCO with bare names": lambda root, folder: _coco(root, folder, images=True),
    "COCO without images": lambda root, folder: _coco(root, folder, images=False),
}


def _coco(root: Path, folder: Path, *, images: bool) -> Path:
    made = folder / "made"
    liftgate.data.convert(root / "data.yaml", "coco", made)
    (truth,) = [path for path in made.rglob("*.json") if "test" in path.name]
    document = json.loads(truth.read_text())
    for row in document["images"]:
        if images:
            shutil.copy(root / "images" / Path(row["file_name"]).name, folder)
        row["file_name"] = Path(row["file_name"]).name
    shutil.rmtree(made)
    (folder / "truth.json").write_text(json.dumps(document))
    return folder / "truth.json"


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_locked_images_are_refused_wherever_they_lie(
    how: str, studied: tuple[Write, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, study = studied
    away = tmp_path_factory.mktemp("away")
    monkeypatch.chdir(away)
    truth = COPIES[how](study.parent / "scenes", away / "copy")
    found = away / "found.json"
    found.write_text("[]")
    with pytest.raises(Refused, match=r"these images are locked: .*scenes\.test of the study colours"):
        liftgate.evaluate(truth, found)
    monkeypatch.setenv("LIFTGATE_LEDGER_INDEX", "off")
    assert liftgate.evaluate(truth, found).metrics["mAP50"] == 0, "the index is the only link between the two folders"


def test_images_that_no_study_locks_are_not_refused(
    studied: tuple[Write, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, study = studied
    away = tmp_path_factory.mktemp("away")
    monkeypatch.chdir(away)
    found = away / "found.json"
    found.write_text("[]")
    root = study.parent / "scenes"
    assert liftgate.evaluate(root / "data.yaml", found, split="val").metrics["mAP50"] == 0
    # The pictures of val with the labels of test, and the labels of val with the pictures of test: neither is a copy.
    (away / "images").mkdir()
    (away / "labels").mkdir()
    for number in range(12):
        shutil.copy(root / f"images/val{number:03d}.png", away / f"images/{number}.png")
        shutil.copy(root / f"labels/test{number:03d}.txt", away / f"labels/{number}.txt")
    (away / "data.yaml").write_text("val: images\nnames: [a, b]\n")
    assert liftgate.evaluate(away / "data.yaml", found).metrics["mAP50"] == 0


@pytest.mark.parametrize("how", COPIES)
def test_a_threshold_is_not_chosen_on_copies_of_the_images_that_are_judged(
    how: str, write_study: Write, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write_study()
    away = tmp_path_factory.mktemp("away")
    root = tmp_path / "scenes"
    copies = COPIES[how](root, away / "copy")
    found = away / "found.json"
    found.write_text("[]")
    with pytest.raises(UsageError, match="chosen on images that it is judged by"):
        liftgate.evaluate(
            root / "data.yaml", found, split="test", threats=["red"], threshold="f1", val=found, val_truth=copies
        )


@pytest.mark.parametrize("saved_again", [False, True])
def test_renamed_copies_within_one_data_set_are_the_same_images_in_files_and_in_studies(
    saved_again: bool, write_study: Write, tmp_path: Path
) -> None:
    gate = {"arm": "long", "on": "scenes.test", "threats": ["red"], "threshold": {"on": "scenes.val"}}
    gate["claims"] = [{"metric": "accuracy", "at_least": 0.6}]
    study = write_study(gates={"enough": gate}, flow=["train", "enough"])
    root, found = tmp_path / "scenes", tmp_path / "found.json"
    with Image.open(root / "images/test004.png") as picture:
        picture.save(root / "images/val000.png", compress_level=1) if saved_again else None
    if not saved_again:
        shutil.copy(root / "images/test004.png", root / "images/val000.png")
    shutil.copy(root / "labels/test004.txt", root / "labels/val000.txt")
    found.write_text("[]")
    with pytest.raises(UsageError, match="judged by") as caught:
        liftgate.evaluate(root / "data.yaml", found, split="test", threats=["red"], threshold="f1", val=found)
    assert "1 images in both, such as images/val000" in str(caught.value)
    with pytest.raises(StudyError, match="images that it judges") as refused:
        liftgate.run(study)
    assert "study.yaml:" in str(refused.value.where) and "gates.enough.threshold.on" in str(refused.value.where)
    assert not list(tmp_path.glob("runs/*/*train*")) and not list(tmp_path.glob("runs/**/best.pt"))


def test_a_damaged_ledger_of_the_index_is_refused_or_named_beside_the_numbers(
    studied: tuple[Write, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, study = studied
    away = tmp_path_factory.mktemp("away")
    monkeypatch.chdir(away)
    found = away / "found.json"
    found.write_text("[]")
    truth = COPIES["COCO with bare names"](study.parent / "scenes", away / "copy")
    ledger = study.parent / "runs" / "colours" / "ledger.sqlite"
    ledger.write_bytes(b"overwritten")
    with pytest.raises(Refused, match="ledger of the study colours cannot be verified") as caught:
        liftgate.evaluate(truth, found)
    assert caught.value.where == str(ledger) and "--open-anyway --reason" in str(caught.value.hint)
    with pytest.raises(UsageError, match="needs a reason"):
        liftgate.evaluate(truth, found, open_anyway=" ")
    measured = liftgate.evaluate(truth, found, open_anyway="the disk failed")
    assert measured.settings["contaminated"].endswith("its locks are not known; measured anyway: the disk failed")
    caveats = liftgate.compare(truth, found, found, metric="recall", open_anyway="the disk failed").caveats
    assert caveats[0] == measured.settings["contaminated"]


@pytest.mark.parametrize("change", ["emptied", "deleted", "garbage"])
def test_marks_of_locked_images_that_were_changed_are_refused_and_written_anew(
    change: str, studied: tuple[Write, Path], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, study = studied
    away = tmp_path_factory.mktemp("away")
    monkeypatch.chdir(away)
    found = away / "found.json"
    found.write_text("[]")
    truth = COPIES["COCO without images"](study.parent / "scenes", away / "copy")
    (marks,) = (study.parent / "runs" / "colours" / "locked").iterdir()
    before = marks.read_bytes()
    marks.write_text('{"images": [], "others": []}' if change == "emptied" else "{")
    if change == "deleted":
        marks.unlink()
    with pytest.raises(Refused, match=r"by which images of scenes\.test are recognised is not what the ledger has"):
        liftgate.evaluate(truth, found)
    api.run(study)
    assert marks.read_bytes() == before
    with pytest.raises(Refused, match=r"these images are locked: .*scenes\.test of the study colours"):
        liftgate.evaluate(truth, found)


def test_a_ledger_without_the_hash_of_the_marks_is_read_as_before(tmp_path: Path) -> None:
    old = {"split": "test", "locked": True, "marks": ""}
    assert "identities" not in SplitSummary.from_body(old).to_body()
    assert read_locked_images(tmp_path, "scenes", "test", "f" * 12, None) is None


def test_a_model_is_not_held_against_locked_labels_by_check(
    studied: tuple[Write, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, study = studied
    truth, root = tmp_path / "scenes" / "data.yaml", tmp_path / "runs" / "colours" / "predictions"
    (locked,) = [path for path in root.glob("*-test-*.json") if ".settings" not in path.name]
    words = ["check", str(truth), "--predictions", str(locked), "--select", "mistakes"]
    for more in ([], ["--review", str(tmp_path / "review")]):
        assert main([*words, *more]) == 2
        said = capsys.readouterr()
        assert "these images are locked: scenes.test of the study colours" in said.err and not said.out
    assert not (tmp_path / "review").exists()
    free = tmp_path / "val.json"
    free.write_text(
        json.dumps([{"image_id": "images/val000.png", "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5}])
    )
    free.with_name("val.settings.json").write_text(json.dumps({"images": ["images/val000.png"]}))
    assert main(["check", str(truth), "--predictions", f"{free}#class-from-1", "--select", "mistakes"]) == 0
    capsys.readouterr()
    assert main([*words, "--open-anyway", "--reason", "the labels are checked by hand", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contaminated"].endswith("the labels are checked by hand")
    assert main(["ledger", "show", str(study), "--kind", "lockbox", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["body"]["reason"] for entry in entries] == [None, "the labels are checked by hand"]
