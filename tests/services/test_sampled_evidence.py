"""A drawn sample: known probabilities, weighted metrics, and nothing that was edited or is half labelled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import liftgate
from judging.two_models import Models, two_models
from liftgate.cli import main
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.coco.predictions import write_predictions
from liftgate.errors import DataError, Refused, UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.drawn_sample import on_sample, read_sample
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.judging.frame_design import draw_frames
from liftgate.ledger import Ledger
from liftgate.ledger.records import SampleEntry


def differ_in(models: Models, share: float) -> Models:
    """The treatment is the control, but for a share of the groups."""
    groups = sorted(set(models.truth.groups))
    some = set(groups[:: round(1 / share)])
    inside = np.array([group in some for group in models.truth.groups])
    old, new = models.control, models.treatment
    rows = (np.flatnonzero(~inside[old.image]), np.flatnonzero(inside[new.image]))

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name)[kept] for one, kept in zip((old, new), rows, strict=True)])

    mixed = Predictions(old.images, old.classes, *(column(name) for name in ("image", "cls", "boxes", "scores")))
    return models._replace(treatment=mixed)


MODELS = differ_in(two_models(11, groups=80, per_group=3), 0.1)


def test_groups_in_which_models_differ_are_drawn_more_often_and_none_never() -> None:
    drawn = draw_frames(MODELS.truth, MODELS.control, MODELS.treatment, "compare", budget=60, seed=0)
    sample = drawn.sample
    assert abs(len(sample.images) - 60) <= 3 and drawn.gain > 1.15 and "worth about" in drawn.text
    differ = set(sorted(set(MODELS.truth.groups))[::10])
    in_them = np.mean([group in differ for group in set(sample.groups)])
    assert in_them > 0.15  # of 10% of the groups
    assert max(1 / p for p in sample.probability) <= 4 * 240 / 60 + 1e-9


def test_weighted_estimates_are_unbiased_over_draws_and_closer_than_those_of_random_images() -> None:
    spec = ComparisonSpec(metric="recall")
    exact = compare(MODELS.truth, MODELS.control, MODELS.treatment, spec).delta.estimate
    by_design, at_random = [], []
    for seed in range(30):
        sample = draw_frames(MODELS.truth, MODELS.control, MODELS.treatment, "compare", budget=60, seed=seed).sample
        for weights, images, into in (
            (sample.weights, sample.images, by_design),
            (None, np.random.default_rng(seed).permutation([i.id for i in MODELS.truth.images])[:60], at_random),
        ):
            kept = MODELS.truth.take(np.isin([image.id for image in MODELS.truth.images], images))
            arms = (restricted(one, kept.images) for one in MODELS[1:])
            into.append(compare(kept, *arms, replace(spec, weights=weights)).delta.estimate - exact)
    assert abs(np.mean(by_design)) < 3 * np.std(by_design) / np.sqrt(30)
    assert np.std(by_design) < np.std(at_random)


def restricted(predictions: Predictions, images: tuple[object, ...]) -> Predictions:
    names = [image.id for image in images]  # type: ignore[attr-defined]
    place = np.array([names.index(name) if name in names else -1 for name in predictions.images])
    rows = place[predictions.image] >= 0
    columns = (predictions.cls[rows], predictions.boxes[rows], predictions.scores[rows])
    return Predictions(tuple(names), predictions.classes, place[predictions.image[rows]], *columns)


def test_everything_drawn_is_the_plain_comparison_and_evaluation(tmp_path: Path) -> None:
    out = tmp_path / "sample.csv"
    drawn = liftgate.draw_sample(MODELS.truth, out, "compare", MODELS.control, MODELS.treatment, budget=10_000)
    assert set(drawn.sample.probability) == {1.0}
    found = liftgate.compare_sample(MODELS.truth, MODELS.control, MODELS.treatment, out, metric="mAP50")
    plain = liftgate.compare(MODELS.truth, MODELS.control, MODELS.treatment, metric="mAP50")
    assert found.delta.estimate == pytest.approx(plain.delta.estimate, abs=1e-12)
    assert (found.delta.low, found.delta.high) == pytest.approx((plain.delta.low, plain.delta.high), abs=1e-9)
    one = liftgate.evaluate_sample(MODELS.truth, MODELS.control, out)
    all_ = liftgate.evaluate(MODELS.truth, MODELS.control)
    for name in ("mAP50", "mAP50-95", "recall", "precision", "false_positives_per_image"):
        assert one.metrics[name] == pytest.approx(all_.metrics[name], abs=1e-12)
        assert one.intervals[name].established
    assert one.per_class == {} and "sample" in one.settings


@pytest.mark.parametrize("purpose", ["recall", "map"])
def test_one_model_is_enough_to_draw_for_its_own_metrics(purpose: str) -> None:
    drawn = liftgate.draw_sample(MODELS.truth, None, purpose, MODELS.control, budget=60)  # type: ignore[arg-type]
    assert len(set(drawn.sample.groups)) >= 20
    with pytest.raises(UsageError, match="both models"):
        liftgate.draw_sample(MODELS.truth, None, "compare", MODELS.control)


def test_on_the_command_line_and_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = coco.write(MODELS.truth, tmp_path / "truth.json")
    old = write_predictions(MODELS.control, MODELS.truth, tmp_path / "old.json")
    new = write_predictions(MODELS.treatment, MODELS.truth, tmp_path / "new.json")
    out, never = tmp_path / "sample.csv", tmp_path / "split.csv"
    groups = r"^(?P<group>g\d+)_"
    locked = [image.id for image in MODELS.truth.images if image.group in ("g00", "g10")]
    never.write_text("image,split,group\n" + "".join(f"{name},test,{name[:3]}\n" for name in locked))
    words = ["data", "sample", str(truth), "--for", "compare", "--champion", str(old), "--challenger", str(new)]
    words += ["--groups", groups, "--budget", "60", "--never", str(never), "--out", str(out), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    sample = read_sample(out)
    assert told["n_chosen"] == len(sample.images) and told["n_locked"] == 6
    assert not {"g00", "g10"} & set(sample.groups)
    arms = ["--truth", str(truth), "--control", str(old), "--treatment", str(new), "--sample", str(out)]
    assert main(["compare", *arms, "--metric", "recall", "--json"]) in (0, 10, 11)
    found = json.loads(capsys.readouterr().out)
    assert found["n_images"] == len(sample.images) and "every image is weighted" in found["caveats"][0]
    assert main(["evaluate", "--truth", str(truth), "--predictions", str(old), "--sample", str(out)]) == 0
    assert main(["compare", *arms, "--groups", groups]) == 2
    assert "not on a drawn sample" in capsys.readouterr().err
    text = out.read_text()
    (tmp_path / "sample.json").unlink()  # as killed between the two files
    assert main(words) == 0 and out.read_text() == text and read_sample(out) == sample
    capsys.readouterr()
    assert main([*words, "--seed", "1"]) == 2 and out.read_text() == text, "a drawn sample is not replaced"
    assert "another sample is there already" in capsys.readouterr().err
    (tmp_path / "coco.json").write_text("{}")
    assert main([*words[:-2], str(tmp_path / "coco.csv")]) == 2 and (tmp_path / "coco.json").read_text() == "{}"
    assert main([*words[:-2], str(tmp_path / "coco.json")]) == 2 and (tmp_path / "coco.json").read_text() == "{}"
    for change, message in (
        (text.replace(f",{sample.probability[0]!r}", ",1.0"), "edited"),
        (text.replace(f",{sample.probability[0]!r}", ",0"), "not an inclusion probability"),
        ("\n".join(text.splitlines()[:-1]) + "\n", "edited"),
        (text + text.splitlines()[-1] + "\n", "twice"),
    ):
        out.write_text(change)
        with pytest.raises(DataError, match=message):
            read_sample(out)
    out.write_text(text)
    (tmp_path / "sample.json").unlink()
    with pytest.raises(DataError, match="drawn for"):
        read_sample(out)


def test_a_sampled_image_without_labels_is_refused() -> None:
    sample = draw_frames(MODELS.truth, MODELS.control, MODELS.treatment, "compare", budget=60, seed=0).sample
    place = {image.id: index for index, image in enumerate(MODELS.truth.images)}[sample.images[0]]
    images = [replace(one, label=None) if i == place else one for i, one in enumerate(MODELS.truth.images)]
    labels = MODELS.truth.labels.take(MODELS.truth.labels.image != place)
    with pytest.raises(DataError, match=r"1 of .* sampled images have no labels"):
        on_sample(replace(MODELS.truth, images=tuple(images), labels=labels), sample)


def test_a_sample_of_a_folder_is_found_in_a_truth_that_begins_further_up() -> None:
    """Frames are drawn from images/val; the data.yaml that their labels come in names them images/val/…"""
    sample = draw_frames(MODELS.truth, MODELS.control, MODELS.treatment, "compare", budget=60, seed=0).sample
    above = MODELS.truth.with_images([replace(one, id=f"images/val/{one.id}") for one in MODELS.truth.images])
    taken = on_sample(above, sample)
    assert [image.id for image in taken.images] == [f"images/val/{name}" for name in sample.images]
    assert taken.groups == on_sample(MODELS.truth, sample).groups
    elsewhere = MODELS.truth.with_images([replace(one, id=f"other/{one.id[1:]}") for one in MODELS.truth.images])
    with pytest.raises(DataError, match="are not in the truth"):
        on_sample(elsewhere, sample)
    deep = replace(sample, images=tuple(f"a/{name}" for name in sample.images))
    with pytest.raises(DataError, match="are not in the truth"):
        on_sample(MODELS.truth.with_images([replace(one, id=f"b/{one.id}") for one in MODELS.truth.images]), deep)


def test_a_sample_without_groups_says_so_when_it_is_drawn_and_when_it_is_measured(tmp_path: Path) -> None:
    bare = MODELS.truth.with_images([replace(image, group=None) for image in MODELS.truth.images])
    drawn = liftgate.draw_sample(bare, tmp_path / "sample.csv", "compare", *MODELS[1:], budget=60)
    found = liftgate.compare_sample(bare, *MODELS[1:], tmp_path / "sample.csv", metric="recall")
    one = liftgate.evaluate_sample(bare, MODELS.control, tmp_path / "sample.csv")
    for text in (" ".join(drawn.notes), " ".join(found.caveats), str(one.settings["groups"])):
        assert "no groups are given" in text and "--groups" in text
    with pytest.raises(UsageError, match="too few images of a group"):
        liftgate.draw_sample(bare, None, "compare", *MODELS[1:], budget=60, per_group=0)


def test_every_stratum_is_drawn_from_as_often_as_its_groups_probabilities_add_up_to() -> None:
    """Of a camera with few groups one more or one less is drawn, whatever the seed; which ones, is left to chance."""
    few = set(sorted(set(MODELS.truth.groups))[:8])
    camera = {image.id: "gate" if image.group in few else "yard" for image in MODELS.truth.images}
    drawn = [
        set(
            draw_frames(
                MODELS.truth, MODELS.control, MODELS.treatment, "compare", budget=90, seed=seed, strata=camera
            ).sample.groups
        )
        for seed in range(25)
    ]
    counts = [len(groups & few) for groups in drawn]
    assert min(counts) >= 1 and max(counts) - min(counts) <= 1
    assert len({frozenset(groups) for groups in drawn}) > 20


def test_a_study_records_the_sample_and_refuses_another_under_its_name(tmp_path: Path) -> None:
    """Even one whose sample.json was made to fit."""
    (tmp_path / "study.yaml").write_text("study: months\n")
    out, other = tmp_path / "sample.csv", tmp_path / "other.csv"
    drawn = liftgate.draw_sample(MODELS.truth, out, "compare", *MODELS[1:], budget=60, study=tmp_path / "study.yaml")
    ledger = Ledger(tmp_path / "runs" / "months" / "ledger.sqlite")
    (entry,) = ledger.records(SampleEntry)
    assert (entry.file, entry.sample, entry.n_images) == ("sample.csv", drawn.sample.hash, len(drawn.sample.images))
    assert len(entry.predictions) == 2
    liftgate.draw_sample(MODELS.truth, out, "compare", *MODELS[1:], budget=60, study=tmp_path / "study.yaml")
    assert ledger.records(SampleEntry) == [entry], "the same again is recorded once"
    liftgate.compare_sample(*MODELS, out, metric="recall")
    liftgate.draw_sample(MODELS.truth, other, "compare", *MODELS[1:], budget=60, seed=1)
    for suffix in (".csv", ".json"):
        out.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    for measure in (
        lambda: liftgate.compare_sample(*MODELS, out, metric="recall"),
        lambda: liftgate.evaluate_sample(MODELS.truth, MODELS.control, out),
    ):
        with pytest.raises(DataError, match="not the sample that the study months has on record"):
            measure()
    liftgate.compare_sample(*MODELS, other, metric="recall")  # nobody has recorded it


def test_images_that_a_study_locks_are_not_drawn_unless_it_is_told_to_leave_them_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows, splits = [], ["image,split,group"]
    for number in range(24):
        split = "test" if number % 4 == 0 else "train" if number % 4 == 1 else "val"
        path = tmp_path / split / "images" / f"v{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        name = path.relative_to(tmp_path).as_posix()
        splits.append(f"{name},{split},v{number:02d}")
        rows.append({"image_id": name, "category_id": 1, "bbox": [4, 4, 9, 9], "score": 0.5})
    (tmp_path / "data.yaml").write_text("train: train/images\nval: val/images\ntest: test/images\nnames: [cat]\n")
    (tmp_path / "study.yaml").write_text(STUDY_THAT_LOCKS)
    predictions = tmp_path / "old.json"
    predictions.write_text(json.dumps(rows))
    (tmp_path / "split.csv").write_text("\n".join(splits) + "\n")
    words = [tmp_path / "data.yaml", tmp_path / "sample.csv", "recall", predictions]
    with pytest.raises(Refused, match="locked"):
        liftgate.draw_sample(*words, budget=12, groups=r"(?P<group>v\d+)")
    assert not (tmp_path / "sample.csv").exists()
    drawn = liftgate.draw_sample(*words, budget=12, groups=r"(?P<group>v\d+)", never=["split.csv"])
    assert drawn.locked == 6
    assert not any(name.startswith("test/") for name in drawn.sample.images)


STUDY_THAT_LOCKS = """
study: one
question: q
datasets:
  bench: {path: data.yaml, lock: [test]}
arms: {a: {weights: a.pt}}
gates:
  enough: {arm: a, on: bench.test, claims: [{metric: recall, at_least: 0.9}]}
flow: [enough]
"""


def test_a_guess_about_class_numbers_is_said_where_no_labels_decide_it(tmp_path: Path) -> None:
    """Only the number 1, of two classes: the first by category ids, the second by those who count from 0."""
    for name in ("old", "new"):
        rows = [
            {"image_id": one.id, "category_id": 1, "bbox": [10, 10, 40, 40 + len(name)], "score": 0.5 + 0.004 * number}
            for number, one in enumerate(MODELS.truth.images[:60])
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows + ([] if name == "old" else rows[:9])))
    arms = (tmp_path / "old.json", tmp_path / "new.json")
    bare = replace(MODELS.truth, labels=MODELS.truth.labels.take(np.zeros(len(MODELS.truth.labels), dtype=np.bool_)))
    for notes in (
        liftgate.judge(*arms, bare).plan.notes,
        liftgate.draw_sample(bare, None, "compare", *arms, budget=20).notes,
    ):
        assert "old.json: its class numbers can be read as category ids or as class from 0" in notes[0]


def test_a_sample_whose_images_cannot_be_copied_is_not_written(tmp_path: Path) -> None:
    """Else the same command is refused, as the sample is there already. The images may lie far from the labels."""
    truth, old = coco.write(MODELS.truth, tmp_path / "truth.json"), tmp_path / "old.json"
    write_predictions(MODELS.control, MODELS.truth, old)
    words = ["data", "sample", str(truth), "--for", "recall", "--champion", str(old), "--budget", "20"]
    words += ["--out", str(tmp_path / "sample.csv"), "--copy", str(tmp_path / "chosen")]
    assert main(words) == 2
    assert not (tmp_path / "sample.csv").exists() and not (tmp_path / "chosen").exists()
    for image in MODELS.truth.images:
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / image.id)
    assert main(words) == 0
    sample = read_sample(tmp_path / "sample.csv")
    copied = {path.name for path in (tmp_path / "chosen").iterdir() if path.suffix != ".md"}
    assert copied == {Path(name).name for name in sample.images}
    assert main([*words, "--seed", "1"]) == 2, "another sample is there"
    assert {path.name for path in (tmp_path / "chosen").iterdir() if path.suffix != ".md"} == copied
