"""Write fixed copies of a study's data sets and a study.yaml that uses them. Nothing is changed in place."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from liftgate.checks.fixes.dataset_fixes import AppliedFix, FixedDataset, fix_dataset, write_fixed
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.yolo.tree import read_manifest
from liftgate.errors import UsageError
from liftgate.files import delete_own_files, require_empty, write_bytes, write_text
from liftgate.paths import lexical
from liftgate.progress import Progress, silent
from liftgate.study import yaml_source
from liftgate.study.records import DatasetSpec, Study

_PATH_KEYS = ("path", "images", "groups", "split")
"""Keys of a data set in study.yaml whose value may be a path"""
_REPLACED_KEYS = ("images", "split", "ratios", "split_seed", "groups")
"""Keys that the fixed copy makes unnecessary"""


def fix_study(
    study: Study,
    datasets: Mapping[str, Dataset],
    folder: Path,
    progress: Progress = silent,
    *,
    on_request: Collection[str] = (),
) -> tuple[Path, dict[str, tuple[AppliedFix, ...]]]:
    """Write fixed copies of the data sets of a study and a study.yaml that uses them.

    A data set with nothing to fix gets no copy. Groups and splits are those that the study declares for the original
    data.

    Args:
        study: as loaded.
        datasets: its data sets by name, with groups and splits as the study declares them.
        folder: new, or empty.
        progress: called while data are read.
        on_request: ids of fixes that are applied only on request: `labels.geometry` moves boxes.

    Returns:
        The path of the new study.yaml, or of the study's own where there is nothing to fix; data set → applied fixes.

    Raises:
        DataError: `folder` is not empty.
        UsageError: the study was not loaded from a file.
    """
    if study.source is None:
        raise UsageError("only a study in a file can be fixed")
    folder = lexical(folder)
    require_empty(folder)
    done: dict[str, FixedDataset] = {}
    for spec in study.datasets:
        images = None if spec.images is None else study.folder / spec.images
        found = fix_dataset(
            read(study.folder / spec.path, images=images, name=spec.name, progress=progress), on_request
        )
        if found.changes:
            done[spec.name] = _with_declared_splits(found, datasets[spec.name])
    if not done:
        return study.source, {}
    written: list[tuple[Path, list[str]]] = []
    try:
        for name, fixed in done.items():
            write_fixed(fixed, folder / name)
            files = [
                one.relative_to(folder / name).as_posix() for one in (folder / name).rglob("*") if not one.is_dir()
            ]
            written.append((folder / name, [*files, "groups.csv"]))
            if study.dataset(name).groups is not None:
                _write_groups(fixed.dataset, folder / name)
        write_text(folder / "study.yaml", _study_yaml(study, study.source, folder, done))
    except BaseException:
        for place, own in written:
            delete_own_files(place, own)
        raise
    return folder / "study.yaml", {name: fixed.changes for name, fixed in done.items()}


def _with_declared_splits(found: FixedDataset, declared: Dataset) -> FixedDataset:
    """Return the fixed data set with the groups and splits that the study declares."""
    known = {image.id: image for image in declared.images}
    images = [
        replace(image, group=known[image.id].group, split=known[image.id].split) if image.id in known else image
        for image in found.dataset.images
    ]
    return replace(found, dataset=found.dataset.with_images(images))


def _write_groups(dataset: Dataset, folder: Path) -> None:
    """Write groups.csv beside the copy: its images may be renamed, so that a `groups:` pattern no longer matches."""
    group = {image.id: image.key for image in dataset.images}
    rows = [(Path(link).name, group[image]) for link, image in sorted(read_manifest(folder).items())]
    write_bytes(folder / "groups.csv", table_bytes(("image", "group"), rows))


def _study_yaml(study: Study, origin: Path, folder: Path, done: Mapping[str, FixedDataset]) -> str:
    """Return the text of the new study.yaml: the original with the changed paths."""
    keys: Any = yaml_source.read(origin.read_text(encoding="utf-8-sig"), str(origin)).value
    for spec in study.datasets:
        entry = keys["datasets"][spec.name]
        if spec.name in done:
            for key in _REPLACED_KEYS:
                entry.pop(key, None)
            entry["path"] = f"{spec.name}/data.yaml"
            if spec.groups is not None:
                entry["groups"] = f"{spec.name}/groups.csv"
        else:
            entry |= _relative_paths(spec, study.folder, folder)
    _make_weights_relative(keys["arms"], study.folder, folder)
    head = f"# A copy of {_relative_path(origin, folder)} with fixed data; mended.json beside each lists the fixes.\n"
    return head + yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=120)


def _relative_paths(spec: DatasetSpec, home: Path, folder: Path) -> dict[str, str]:
    """Return the keys of a data set whose values are files, with paths relative to `folder`."""
    named = {key: getattr(spec, key) for key in _PATH_KEYS}
    return {
        key: _relative_path(home / name, folder)
        for key, name in named.items()
        if name is not None and (home / name).exists()
    }


def _make_weights_relative(value: Any, home: Path, folder: Path) -> None:
    """Make every `weights:` that is a file relative to `folder`, in place; names of published models stay."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _make_weights_relative(inner, home, folder)
    if isinstance(value, dict) and isinstance(value.get("weights"), str) and (home / value["weights"]).is_file():
        value["weights"] = _relative_path(home / value["weights"], folder)


def _relative_path(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with forward slashes."""
    return Path(os.path.relpath(lexical(path), folder)).as_posix()
