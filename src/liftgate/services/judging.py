"""Judge two models where they differ: draw the questions and write the page; compare by the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import PredictionsSource, PrefetchedResults, read_all_predictions
from liftgate.data.formats.coco.predictions import named_classes
from liftgate.data.formats.read import is_dataset, read
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.alignment import on_common_images, require_same_images, restrict_to_truth
from liftgate.files import atomic_folder, require_empty
from liftgate.hashing import content_hash, file_hash, short
from liftgate.judging.answers import Answer, merge_answers, read_answers
from liftgate.judging.compare import JudgedComparison, compare_answers, require_judged_claim, require_judged_metric
from liftgate.judging.cvat_answers import SUFFIXES, read_cvat_answers
from liftgate.judging.cvat_task import FOLDER, write_task
from liftgate.judging.draw import Draw, DrawnModel, Until, draw_questions
from liftgate.judging.draw_files import PAGE, read_draw, write_draw
from liftgate.judging.page import write_page
from liftgate.judging.pairing import pair_detections
from liftgate.judging.plan import JudgementPlan, default_budget, plan_of
from liftgate.judging.sizes import scores_of
from liftgate.progress import Progress, silent
from liftgate.services.evidence_inputs import odd_predictions, require_unlocked
from liftgate.study.records import ClaimWord
from liftgate.study.study_file import load
from liftgate.suggestions import suggestion

AnsweredIn = Literal["page", "cvat"]


class DrawnJudgements(NamedTuple):
    """What `judge` prepared."""

    plan: JudgementPlan
    draw: Draw
    folder: Path | None
    """Where draw.json, draw.csv and judge.html (or the task for CVAT) are; None: only planned"""


def judge(
    control: PredictionsSource,
    treatment: PredictionsSource,
    images: Path | str | Dataset,
    out: Path | str | None = None,
    *,
    budget: int | None = None,
    groups: str | None = None,
    split: str | None = None,
    classes: Sequence[str] = (),
    conf: float = 0.25,
    seed: int = 0,
    common: bool = False,
    until: Until | None = None,
    to: AnsweredIn = "page",
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> DrawnJudgements:
    """Draw what has to be judged to compare two models without labels, and write the page for it.

    Args:
        control: predictions of the present model.
        treatment: predictions of the model that may replace it, on the same images.
        images: folder of images, frames.csv, or a data set, whose labels are not used.
        out: a new folder for draw.json, draw.csv and judge.html, or a folder `cvat`; None: plan only.
        budget: number of judgements; None: as many as make the interval about 1.15 times as wide as labels would.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`.
        split: of a data set.
        classes: names of the classes, where neither images nor predictions tell them.
        conf: confidence from which detections count.
        seed: of the draw.
        common: use only the images that both were predicted on.
        until: what is to be settled: the questions then come group by group, and `compare_judgements` may be asked
            after any of them, with intervals that hold at every look.
        to: where it is answered: on the page, or in a task of CVAT.
        open_anyway: as in `evaluate`.
        progress: called with the number of items done and in all.

    Raises:
        Refused: a study locks these images.
        UsageError: predictions of different images or classes, nothing to judge, or a budget that is too small.
    """
    if not 0 <= conf <= 1:
        raise UsageError("a confidence threshold lies in 0 … 1", got=conf)
    if until is not None:
        require_judged_claim(until)
    folder = None if out is None else Path(out)
    if folder is not None:
        require_empty(folder)
    dataset = unlabelled_images(images, (control, treatment), classes, groups, progress, split=split)
    require_unlocked(dataset, (control, treatment), open_anyway)
    dataset, (first, second) = aligned_predictions(dataset, (control, treatment), common=common)
    units = pair_detections(first, second, conf)
    if not len(units):
        raise UsageError("neither model detects anything at this confidence", got=f"--conf {conf:g}")
    names = _names(control, treatment)
    models = (DrawnModel(names[0], source_hash(control)), DrawnModel(names[1], source_hash(treatment)))
    if models[0].predictions == models[1].predictions:
        raise UsageError(
            "control and treatment are the same predictions: they do not differ, whatever anybody answers",
            got=f"{_name(control)}, {_name(treatment)}",
        )
    wanted = default_budget(units, scores_of(units, first, second)) if budget is None else budget
    draw = draw_questions(
        dataset, first, second, units, models=models, conf=conf, budget=wanted, seed=seed, until=until
    )
    if folder is not None:
        with atomic_folder(folder) as part:
            if to == "cvat":
                (part / FOLDER).mkdir()
                write_task(draw, dataset, part / FOLDER, progress=progress)
            else:
                write_page(draw, dataset, part / PAGE, progress=progress)
            write_draw(draw, part)
    plan = plan_of(draw)
    odd = dict.fromkeys(text for one in (first, second) if (text := odd_predictions(one)))
    return DrawnJudgements(replace(plan, notes=(*odd, *plan.notes)), draw, folder)


def until_gate(study: Path | str, name: str) -> Until:
    """Return what a gate of a study asks for, to judge until it is settled.

    Args:
        study: study.yaml.
        name: of a gate that compares two arms.

    Raises:
        UsageError: no such gate, or one that judgements cannot answer.
    """
    gates = {gate.name: gate for gate in load(Path(study)).gates}
    if name not in gates:
        raise UsageError(f"no gate {name!r}", where=study, hint=suggestion(name, gates))
    gate = gates[name]
    if not gate.is_comparison or gate.rule != "interval":
        raise UsageError(f"{name} is no comparison by intervals, which is what judgements decide", where=study)
    require_judged_metric(gate.metric or "")
    return Until(gate.metric or "", gate.margin, gate.claim, gate.level, f"{name} {gate.content_hash()}")


def compare_judgements(
    draw: Path | str | Draw,
    answers: Path | str | Sequence[Path | str],
    control: PredictionsSource,
    treatment: PredictionsSource,
    *,
    metric: str | None = None,
    margin: float | None = None,
    claim: ClaimWord | None = None,
    level: float | None = None,
    conflicts_unsure: bool = False,
) -> JudgedComparison:
    """Compare two models by a person's answers about where they differ.

    Args:
        draw: draw.json of `judge`, or its folder.
        answers: answers.csv of the page, or CVAT's export of the task (XML or zip); several for several people.
        control: the predictions that were drawn from: they must be the same as then.
        treatment: of the other model.
        metric: recall (the default), precision, F1, false_positives_per_image or true_positives_per_image.
        margin: the least worthwhile gain; default 0.
        claim: `better` (the default) or `equal`.
        level: of the interval; default 0.95.
        conflicts_unsure: count what people answered differently as unsure; otherwise it is refused.

    Raises:
        UsageError: the draw was edited, predictions changed, or the answers are not of this draw, not complete,
            contradictory, or given twice.
    """
    drawn = draw if isinstance(draw, Draw) else read_draw(Path(draw))
    asked = _question_of(drawn, metric, margin, claim, level)
    require_judged_metric(asked.metric)
    for role, source, expected in (("control", control, drawn.control), ("treatment", treatment, drawn.treatment)):
        if (got := source_hash(source)) != expected.predictions:
            raise DataError(
                f"the predictions of the {role} are not those that the questions were drawn from", where=_name(source),
                expected=f"{short(expected.predictions)} ({expected.name})", got=short(got),
                hint="give the same files in the same order, or draw again: answers about other detections say nothing",
            )  # fmt: skip
    files = [answers] if isinstance(answers, str | Path) else list(answers)
    given = [answer for file in files for answer in _answers_in(Path(file), drawn)]
    merged = merge_answers(drawn, given, conflicts_unsure=conflicts_unsure)
    return compare_answers(
        drawn, merged, metric=asked.metric, margin=asked.margin, claim=asked.claim, level=asked.level
    )


def _answers_in(path: Path, draw: Draw) -> list[Answer]:
    return read_cvat_answers(path, draw) if path.suffix.lower() in SUFFIXES else read_answers(path, draw)


def _question_of(
    draw: Draw, metric: str | None, margin: float | None, claim: ClaimWord | None, level: float | None
) -> Until:
    """Return what is compared: what the draw has fixed, else what is given.

    Raises:
        UsageError: the draw has fixed something else.
    """
    fixed = draw.until or Until("recall", 0.0)
    asked = Until(
        fixed.metric if metric is None else metric, fixed.margin if margin is None else margin,
        fixed.claim if claim is None else claim, fixed.level if level is None else level, fixed.gate,
    )  # fmt: skip
    if draw.until is not None and asked != draw.until:
        raise UsageError(
            "what is to be settled was fixed before the first answer", expected=_asked_text(draw.until),
            got=_asked_text(asked), hint="leave --metric, --margin, --claim and --level out",
        )  # fmt: skip
    return asked


def _asked_text(until: Until) -> str:
    return f"{until.metric}, margin {until.margin:g}, {until.claim}, level {until.level:g}"


def source_hash(source: PredictionsSource) -> str:
    """Return the hash of predictions: of a file's bytes, of a folder's files, or of the record.

    Raises:
        UsageError: objects of another library, or a file that is not there.
    """
    if isinstance(source, PrefetchedResults):
        source = source.path
    if isinstance(source, Predictions):
        return source.content_hash()
    if not isinstance(source, str | Path):
        raise UsageError("judging needs predictions that can be read again", expected="a file, a folder or Predictions")
    path, option = Path(source), ""
    if not path.exists() and "#" in path.name:
        name, _, option = path.name.partition("#")
        path = path.with_name(name)
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            return content_hash([option, *([file.relative_to(path).as_posix(), file_hash(file)] for file in files)])
        return content_hash([option, file_hash(path)]) if option else file_hash(path)
    except OSError as error:
        raise DataError("cannot read the predictions", where=path, got=error.strerror) from None


def unlabelled_images(
    images: Path | str | Dataset,
    sources: Sequence[PredictionsSource],
    classes: Sequence[str],
    groups: str | None,
    progress: Progress = silent,
    *,
    split: str | None = None,
) -> Dataset:
    """Return images that need no labels, in the classes of the predictions.

    Args:
        images: folder of images, frames.csv, or a data set.
        sources: predictions on them.
        classes: names of the classes; empty: those that the data set or the predictions name.
        groups: rule for groups; None: those of the images.
        progress: called with the number of items done and in all.
        split: of a data set; None: all of it.

    Raises:
        DataError: no images, or nothing names the classes.
        UsageError: no such split.
    """
    if isinstance(images, Dataset):
        dataset = images
    elif is_dataset(Path(images)):
        dataset = read(Path(images), progress=progress)
    else:
        known = classes or _declared_classes(sources)
        if not known:
            hint = "--classes NAME NAME …, or a data.yaml or COCO JSON of the images"
            raise DataError("the classes are not known", where=images, hint=hint)
        dataset = unlabelled_dataset(Path(images), known, progress=progress)
    if split is not None and split not in dataset.splits:
        raise UsageError(f"no split {split!r}", where=dataset.source, expected=", ".join(dataset.splits) or "none")
    dataset = dataset if split is None else dataset.split(split)
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def _declared_classes(sources: Sequence[PredictionsSource]) -> tuple[str, ...]:
    """Return the classes that the predictions name themselves; empty: none do."""
    found = [names for source in sources if (names := _named_by(source))]
    if len(set(found)) > 1:
        hint = "--classes NAME NAME … says which of them count"
        raise DataError("the two models name different classes", expected=found[0], got=found[1], hint=hint)
    return found[0] if found else ()


def _named_by(source: PredictionsSource) -> tuple[str, ...]:
    if isinstance(source, Predictions):
        return source.classes
    path = source.path if isinstance(source, PrefetchedResults) else source
    return named_classes(Path(path)) if isinstance(path, str | Path) else ()


def aligned_predictions(
    dataset: Dataset, sources: Sequence[PredictionsSource], *, common: bool = False
) -> tuple[Dataset, list[Predictions]]:
    """Return the images that all models were run on, and their predictions on these, in the order of the images.

    Args:
        dataset: the images.
        sources: predictions of each model.
        common: leave out images that some model was not run on; otherwise they are refused.

    Raises:
        UsageError: predictions of whole images, or of different images.
    """
    models = read_all_predictions(sources, dataset)
    if any(one.image_level for one in models):
        raise UsageError("these are predictions of whole images: there is no box to judge")
    if common:
        dataset, models, _ = on_common_images(dataset, *models)
    for other in models[1:]:
        require_same_images(models[0], other)
    known = set(models[0].images)
    dataset = dataset.take(np.array([image.id in known for image in dataset.images], dtype=np.bool_))
    return dataset, [_in_order(dataset, restrict_to_truth(dataset, one)) for one in models]


def _in_order(dataset: Dataset, predictions: Predictions) -> Predictions:
    """Return the predictions with their images in the order of the dataset's."""
    place = {image.id: index for index, image in enumerate(dataset.images)}
    order = np.array([place[id_] for id_ in predictions.images], dtype=np.int64)
    return replace(
        predictions, images=tuple(image.id for image in dataset.images),
        image=order[predictions.image] if len(predictions) else predictions.image,
    )  # fmt: skip


def _names(*sources: PredictionsSource) -> tuple[str, str]:
    first, second = (_name(source) for source in sources)
    return (first, second) if first != second else (f"{first} (control)", f"{second} (treatment)")


def _name(source: PredictionsSource) -> str:
    path = source.path if isinstance(source, PrefetchedResults) else source
    return Path(path).name if isinstance(path, str | Path) else type(source).__name__
