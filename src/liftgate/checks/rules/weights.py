"""Rules about weights: missing, unreadable, untrusted, or with the wrong classes or task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from liftgate.checks.class_maps import rename_hint, spelled_alike
from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import first_few, plural
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.checkpoints import Checkpoint, read_checkpoint
from liftgate.checks.ultralytics.model_description import hostile_parts
from liftgate.checks.ultralytics.published_models import OFFICIAL, nearest_official
from liftgate.errors import DataError
from liftgate.hashing import file_hash
from liftgate.study.weights import fetch_command, find, places
from liftgate.study.weights import nearest as nearest_file

_PICKLES = {".pt", ".pth", ".ckpt", ".bin", ".pkl"}
_DESCRIPTIONS = {".yaml", ".yml"}
_LIBREYOLO_HINT = (
    "for LibreYOLO: a YAML with the line `libreyolo: yolox-n` (from scratch), or the path of a checkpoint that it "
    "trained"
)
_OTHER_TASKS = ("-cls", "-seg", "-obb", "-sem", "-depth")


@rule("weights.missing", "error", "warning")
def missing(subject: Subject) -> Iterator[Finding]:
    """Weights that are neither a file nor a name that Ultralytics publishes.

    Training would not start, after the data were prepared, on the rented machine. A published name whose file is not
    on this machine is a warning: it may be on the machine that trains, and Liftgate downloads nothing.

    Fix: correct the path, which is relative to study.yaml, or the name (`yolov8n.pt`, `yolo11n.pt`: from 11 on
    without the v), or put the file beside the study or into `~/.cache/liftgate/weights`. LibreYOLO has no published
    names here: a YAML with the line `libreyolo: yolox-n`, or a checkpoint that it trained.
    """
    of_libreyolo = set(_named(subject, only="libreyolo"))
    for where, weights in _named(subject):
        path = Path(weights)
        if find(weights, subject.study_folder) or "://" in weights:
            continue
        if (where, weights) in of_libreyolo:  # which has no names: a published checkpoint is Ultralytics' own
            near = nearest_file(weights, subject.study_folder)
            own = f"did you mean {near}?" if near else _LIBREYOLO_HINT
            yield missing.finding(where, f"there are no weights {weights}", hint=own, weights=weights)
            continue
        if path.suffix in {".yaml", ".yml"} and f"{path.stem}.pt" in OFFICIAL:
            continue  # a model description that comes with Ultralytics, from scratch
        if weights in OFFICIAL:
            where_to = " or at ".join(map(str, places(weights, subject.study_folder)))
            message, fetch = f"{weights} is not on this machine", f"put it at {where_to}, or: {fetch_command(weights)}"
            yield missing.finding(where, message, hint=fetch, severity="warning", weights=weights)
            continue
        close = nearest_file(weights, subject.study_folder) or (
            nearest_official(weights) if path.name == weights else None
        )
        hint = f"did you mean {close}?" if close else None
        yield missing.finding(where, f"there are no weights {weights}", hint=hint, weights=weights)


@rule("weights.unreadable", "error")
def unreadable(subject: Subject) -> Iterator[Finding]:
    """Weights that are no checkpoint, or only the first part of one.

    A download that stopped, a git-lfs pointer, a web page saved as `.pt`. A truncated file often keeps the right
    name and nearly the right size.

    Fix: fetch it again and compare the size or the digest with the source's.
    """
    for where, path in _weights_files(subject, only="ultralytics"):  # another backend's may be anything
        try:
            if path.suffix == ".pt":
                read_checkpoint(path)
            elif path.suffix in _DESCRIPTIONS:
                hostile_parts(path)
        except DataError as error:
            got = f" (got {error.got})" if error.got else ""
            yield unreadable.finding(f"{where}: {path}", f"{error.what}{got}", hint=error.hint, weights=str(path))


@rule("weights.untrusted", "error", "warning")
def untrusted(subject: Subject) -> Iterator[Finding]:
    """Weights that would run something when loaded.

    A `.pt` file is a program for Python's pickle. Its instructions are followed without running any: every name that it
    would import, exactly as Python resolves it, has to be one that detectors need, and classes may be created but not
    called. Anything else of Python or of torch, Ultralytics and their like is an error; an unknown class of another
    package is a warning. A model YAML is code too: Ultralytics evaluates its `activation` and calls what a layer's name
    names, so both have to be plain names of layers.

    Training and predicting load weights in torch's safe mode (`weights_only`), which is tried before each load.

    Fix: take the weights from their author's own page and compare the digest; load unknown ones only in a sandbox,
    with `weights_only=True`. In a YAML write the activation as `nn.SiLU()`.
    """
    for where, path in _weights_files(subject):
        try:
            described = path.suffix in _DESCRIPTIONS
            held = Checkpoint((), hostile=hostile_parts(path)) if described else read_checkpoint(path)
        except DataError:
            continue  # weights.unreadable reports the error
        if held.hostile:
            shown = first_few("a name made while running" if name == "?" else name for name in held.hostile)
            message = f"loading it could run code: {shown}"
            yield untrusted.finding(f"{where}: {path}", message, globals=list(held.hostile), sha256=file_hash(path))
        elif held.unknown:
            yield untrusted.finding(
                f"{where}: {path}",
                f"loading it would import {first_few(held.unknown)}, which detectors do not need",
                severity="warning",
                globals=list(held.unknown),
                sha256=file_hash(path),
            )


@rule("weights.classes", "error")
def classes(subject: Subject) -> Iterator[Finding]:
    """An off-the-shelf model whose classes are not those of the data it is measured on.

    A detector returns class numbers. On data where the numbers mean other classes it scores near zero however good it
    is. Weights to be trained further may have other classes, because training replaces the last layer.

    Fix: keep only the classes that the model has, under its names (`keep: [person]`), or train an arm on this
    data.
    """
    study = subject.study
    for gate in study.gates if study else ():
        truth = subject.datasets.get(gate.on.rpartition(".")[0])
        for name in gate.arm_names:
            arm = next((arm for arm in study.arms if arm.name == name), None) if study else None
            if truth is None or arm is None or arm.stages or not arm.weights:
                continue
            path = find(arm.weights, study.folder) if study else None
            held = _read(path) if path is not None else None
            if path is None or held is None or not held.names:
                continue
            have = {one.casefold() for one in held.names.values()}
            lacking = [one for one in truth.classes if one.casefold() not in have]
            if lacking:
                pairs = spelled_alike(lacking, tuple(held.names.values()))
                whole = len(lacking) == len(truth.classes)
                message = (
                    f"arm {name} is measured by gate {gate.name} on {plural(len(lacking), 'class', 'classes')} that "
                    f"{path.name} does not have ({first_few(lacking)}); it has {len(held.names)}, such as "
                    f"{first_few(list(held.names.values())[:3])}"
                )
                in_order = whole and len(held.names) == len(truth.classes) and not pairs
                if in_order:
                    message += "; its numbers would be taken for these classes in order, which is a guess"
                specs = {spec.name: spec for spec in study.datasets} if study else {}
                dataset = gate.on.rpartition(".")[0]
                yield classes.finding(
                    f"arm {name}",
                    message,
                    hint=rename_hint(specs.get(dataset), dataset, pairs) if pairs else None,
                    severity=_severity(bool(pairs) or in_order, whole, gate.control == name),
                    lacking=lacking,
                    rename=pairs,
                )


def _severity(is_mistake: bool, whole: bool, control: bool) -> Severity:
    """Return how severe it is that a model lacks classes: without them a control is a legitimate 0."""
    if is_mistake:
        return "error"
    return "info" if control else "error" if whole else "warning"


@rule("weights.task", "warning", "error")
def task(subject: Subject) -> Iterator[Finding]:
    """Weights made for another task than the study's.

    `yolov8n.pt` detects boxes and has no keypoints; `-seg`, `-cls` and `-obb` weights are for other tasks. The task is
    read from the file, or from a published name where the file is missing. Training refuses such weights, for a later
    stage only after days.

    Fix: for pose take the `-pose` weights, for detection the plain ones.
    """
    if subject.study is None:
        return
    for where, weights in _named(subject):
        path, name = find(weights, subject.study_folder), weights.rsplit("/", 1)[-1]
        held = _read(path) if path is not None and path.suffix == ".pt" else None
        if held is not None and held.task is not None:
            if held.task != subject.study.task:
                message = f"{name} is a model for {held.task}, the study's task is {subject.study.task}"
                yield task.finding(where, message, severity="error", weights=name)
            continue
        if name not in OFFICIAL:
            continue
        wrong = "-pose" not in name if subject.study.task == "pose" else "-pose" in name
        if wrong or any(other in name for other in _OTHER_TASKS):
            yield task.finding(where, f"{name} in a study of task {subject.study.task}", weights=name)


def _named(subject: Subject, only: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield every place in the study that names weights, and the name; with `only` those of arms of one backend."""
    for place in subject.stages:
        if place.stage.weights and only in (None, place.backend):
            yield place.at("weights"), place.stage.weights
    for arm in subject.study.arms if subject.study else ():
        if arm.weights and not arm.stages and subject.study and only in (None, subject.study.backend_of(arm)):
            line = subject.study.line("arms", arm.name, "weights") if subject.study else ""
            yield f"arm {arm.name}" + (f" ({line})" if line else ""), arm.weights


def _weights_files(subject: Subject, only: str | None = None) -> Iterator[tuple[str, Path]]:
    """Yield each weights file that the study names once: pickles and model YAMLs."""
    seen: set[Path] = set()
    for where, weights in _named(subject, only):
        path = find(weights, subject.study_folder)
        if path is not None and path.suffix in _PICKLES | _DESCRIPTIONS and path not in seen:
            seen.add(path)
            yield where, path


def _read(path: Path) -> Checkpoint | None:
    """Return the checkpoint; None where weights.unreadable reports the error."""
    try:
        return read_checkpoint(path)
    except DataError:
        return None
