"""Rules about this machine: package versions, disk, GPU memory, clock. Without a study they find nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from liftgate.checks.finding import Finding
from liftgate.checks.machine import Package
from liftgate.checks.resource_needs import batch_memory, disk_need, largest_batch
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import DEFAULT_BATCH, DEFAULT_IMGSZ

_GB = 1e9
_DAY = 86_400.0  # a file system may keep local time: hours of difference are normal


class Clash(NamedTuple):
    """Two packages that are known not to work together."""

    package: str
    versions: str
    other: str
    other_versions: str
    so: str


CLASHES = (
    Clash("torch", "<2.3", "numpy", ">=2", "torch was built for NumPy 1: no array becomes a tensor"),
    Clash("opencv-python", "<4.10", "numpy", ">=2", "OpenCV was built for NumPy 1: importing it fails"),
    Clash("opencv-python-headless", "<4.10", "numpy", ">=2", "OpenCV was built for NumPy 1: importing it fails"),
    Clash("matplotlib", "<3.8.4", "numpy", ">=2", "matplotlib was built for NumPy 1: importing it fails"),
)


@rule("environment.versions", "error", "warning")
def versions(subject: Subject) -> Iterator[Finding]:
    """Installed packages that do not work together.

    NumPy 2 beside a torch or an OpenCV that was built for NumPy 1 installs without a warning and fails when the first
    image is loaded: NumPy 2 against an old Ultralytics is on the list of pitfalls of the bus-passenger project. Pairs
    that are known to fail are errors; a package that requires another version of a package than the installed one is a
    warning. Only packages that training depends on are checked, by their own metadata.

    Fix: install again in a fresh environment, from Liftgate's locked requirements or with its extra `train`; pip
    then takes versions that fit.
    """
    if subject.study is None or "ultralytics" not in subject.study.backends:
        return
    if importlib.util.find_spec("packaging") is None:  # Ultralytics needs it: nothing to compare without it
        return
    have = subject.machine.packages
    known = set()
    for clash in CLASHES:
        if _holds(have, clash.package, clash.versions) and _holds(have, clash.other, clash.other_versions):
            known.add((clash.package, clash.other))
            pair = f"{clash.package} {have[clash.package].version} with {clash.other} {have[clash.other].version}"
            details = {name: have[name].version for name in (clash.package, clash.other)}
            yield versions.finding("this environment", f"{pair}: {clash.so}", packages=details)
    for name, other, needed in _broken(have):
        if (name, other) not in known:
            message = f"{name} {have[name].version} needs {other}{needed}; {have[other].version} is installed"
            details = {one: have[one].version for one in (name, other)}
            yield versions.finding("this environment", message, severity="warning", packages=details)


@rule("environment.disk", "warning", "error")
def disk(subject: Subject) -> Iterator[Finding]:
    """Too little free disk space for the study.

    While a model trains, two generations of the state to resume from are kept beside its weights: about 32 bytes per
    parameter. Afterwards two checkpoints per run remain, with the labels of the training tree and the predictions.
    The estimate is a lower bound; it is an error when not even one training fits.

    Fix: free some space, put the study on another disk, or take `save_period` out of the recipe.
    """
    need = disk_need(subject)
    free = subject.machine.free_disk if need else None
    if need is None or free is None or free >= need.total:
        return
    message = (
        f"{free / _GB:.1f} GB are free where the runs are written; {need.runs} trainings leave at least "
        f"{need.total / _GB:.1f} GB, and the largest takes {need.peak / _GB:.1f} GB while it runs"
    )
    yield disk.finding(
        subject.study_folder.absolute(),
        message,
        severity="error" if free < need.peak else "warning",
        free=free,
        need=need.total,
        peak=need.peak,
    )


@rule("environment.gpu_memory", "warning")
def gpu_memory(subject: Subject) -> Iterator[Finding]:
    """A batch that cannot fit into the GPU's memory.

    Ultralytics then halves the batch in the first epoch and continues: the arms of a comparison no longer have the same
    recipe. The estimate is a lower bound of what training keeps: weights, gradients, the optimiser, the moving average,
    and the tensors of the forward pass that the backward pass needs (measured once for each published model; half of it
    under mixed precision). The actual need is a third to a half more, so that no finding does not mean that it fits.

    Fix: a smaller `batch` in every arm (gradients are collected to `nbs` anyway), a smaller imgsz or model.
    """
    study = subject.study
    if study is None or "ultralytics" not in study.backends or str(study.device).lower() in ("cpu", "mps"):
        return
    gpus = subject.machine.gpu_memory
    if not gpus:
        return
    devices = len(str(study.device or "0").split(","))
    for place in subject.stages:
        need = batch_memory(subject, place, devices)
        if need is not None and need > max(gpus):
            most = largest_batch(subject, place, devices, max(gpus))
            recipe = place.stage.recipe
            batch, imgsz = recipe.get("batch", DEFAULT_BATCH), recipe.get("imgsz", DEFAULT_IMGSZ)
            message = (
                f"batch {batch} at imgsz {imgsz} keeps at least {need / _GB:.1f} GB on "
                f"{'a GPU' if devices == 1 else f'each of {devices} GPUs'} of {max(gpus) / _GB:.1f} GB"
            )
            hint = f"at most batch {most} can fit; try {max(1, most * 2 // 3)}" if most else "not even batch 1 can fit"
            yield gpu_memory.finding(place.where, message, hint=hint, need=need, memory=max(gpus), largest=most)


@rule("environment.clock", "warning", "info")
def clock(subject: Subject) -> Iterator[Finding]:
    """A clock that is wrong, or a time zone that this machine does not know.

    Run folders are named by the time, the ledger's entries and every log carry it, and time limits and costs are
    counted by it. A board without a battery starts in a past year: files are then dated in the future. A
    time zone that is not installed is silently taken for UTC.

    Fix: set the clock (`timedatectl set-ntp true`); for the zone install tzdata, or correct TZ.
    """
    if subject.study is None:
        return
    machine = subject.machine
    newest = max(_written(subject), default=None)
    if newest is not None and newest[0] > machine.now + _DAY:
        message = f"the clock shows {_day(machine.now)}, but {newest[1]} was written on {_day(newest[0])}"
        yield clock.finding("this machine's clock", message, now=machine.now, newest=newest[0])
    if machine.unknown_zone is not None:
        message = f"TZ names {machine.unknown_zone}, which is not installed: times are in UTC under a false name"
        yield clock.finding("this machine's time zone", message, severity="info", zone=machine.unknown_zone)


def _holds(have: Mapping[str, Package], package: str, versions: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion

    found = have.get(package)
    try:
        return found is not None and SpecifierSet(versions).contains(found.version, prereleases=True)
    except InvalidVersion:
        return False


def _broken(packages: Mapping[str, Package]) -> Iterator[tuple[str, str, str]]:
    """Yield each package, a package that it requires, and the required versions that are not installed."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for name, package in packages.items():
        for text in package.requires:
            try:
                needed = Requirement(text)
            except InvalidRequirement:
                continue
            other = canonicalize_name(needed.name)
            # Liftgate's requirement on its trainer is an extra; extras of other packages are no requirements.
            applies = needed.marker is None or needed.marker.evaluate({"extra": "train" if name == "liftgate" else ""})
            if applies and other in packages and not _holds(packages, other, str(needed.specifier)):
                yield name, other, str(needed.specifier)


def _written(subject: Subject) -> Iterator[tuple[float, str]]:
    """Yield when files were written that were surely written before now, and their names."""
    study = subject.study
    ledger = subject.study_folder / "runs" / study.name / "ledger.sqlite" if study else None
    sources = (dataset.source for dataset in subject.datasets.values())
    for path in (Path(__file__), study.source if study else None, ledger, *sources):
        try:
            if path is not None:
                yield path.stat().st_mtime, path.name
        except OSError:
            continue


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).date().isoformat()
