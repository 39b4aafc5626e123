"""List the image files of each split of a data.yaml.

Folders, lists of folders and list files, resolved against the YAML's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from liftgate.data.core.image_headers import SUFFIXES
from liftgate.data.formats.yolo.document import DataYaml
from liftgate.paths import exists, is_file, lexical

SPLITS = ("train", "val", "test")
_MANY_FOLDERS = 2_000
_LONGEST_NAME, _LONGEST_PATH = 255, 3000  # bytes, characters
_LARGEST_LIST = 64 << 20  # bytes: a list of half a million long paths


def base_folder(document: DataYaml) -> Path:
    """Return the folder that the splits are relative to: `path:` against the YAML's folder, or that folder itself."""
    if document.base is not None:
        return document.base
    own = lexical(document.path).parent
    declared = document.keys.get("path")
    if declared in (None, "", "."):
        return own
    if not isinstance(declared, str) or "\0" in declared:
        document.fault("path_missing", "path", "path is no text: the YAML's folder is used")
        return own
    folder = _join(own, declared)
    if not folder.is_dir():
        document.fault("path_missing", "path", f"{declared}{_origin(declared)}; {own} is used instead")
        return own
    if not Path(declared).is_absolute():
        document.fault("path_relative", "path", f"{declared} is read as {folder}")
    return folder


def list_images(document: DataYaml, base: Path) -> dict[str, list[Path]]:
    """Return the image files of every declared split, each file once, in the order Ultralytics has them (sorted).

    Missing files, images in two splits and other oddities are recorded in `document.faults`.
    """
    files: dict[str, list[Path]] = {}
    owner: dict[Path, str] = {}
    for split, key in _declared(document.keys):
        value = document.keys[key]
        entries = value if isinstance(value, list) else [value]
        found: list[Path] = []
        for entry in entries:
            source = _resolve(document, base, key, entry)
            if source is not None:
                found += _walk(document, source) if source.is_dir() else _read_list(document, source, base)
        unique = sorted(set(found))
        if len(unique) < len(found):
            document.fault("list_repeats", key, f"{split}: {len(found)} entries for {len(unique)} images")
        shared = [file for file in unique if file in owner]
        if shared:
            first = owner[shared[0]]
            document.fault(
                "split_shared", key, f"{len(shared)} images of {split} are in {first} too, such as {shared[0].name}"
            )
        files[split] = [file for file in unique if file not in owner]
        owner.update((file, split) for file in files[split])
        if not unique and not any(fault.kind == "split_missing" for fault in document.faults):
            document.fault("split_empty", key, f"{split}: no image in {_shown(value)}")
    return files


def _declared(keys: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield (split, key) for every split that the document names; Ultralytics reads `validation` as `val`."""
    for split in SPLITS:
        key = "validation" if split == "val" and "val" not in keys and "validation" in keys else split
        if keys.get(key):
            yield split, key


def _resolve(document: DataYaml, base: Path, key: str, entry: object) -> Path | None:
    """Return the folder or list file of one entry: the first that exists; another than declared is a fault."""
    if not isinstance(entry, str) or not _is_possible(entry):
        document.fault("split_missing", key, f"{key}: {_shown(entry)} is no path")
        return None
    own = document.path.absolute().parent
    if exists(path := _join(base, entry)):
        return path
    if entry.startswith("../"):
        for folder in (base, own):
            if exists(path := _join(folder, entry[3:])):
                document.fault("path_roboflow", key, f"{entry} is not there: {path} is used")
                return path
    if exists(path := _join(own, entry)):
        document.fault("path_elsewhere", key, f"{_join(base, entry)} is not there: {path} is used")
        return path
    for path in _usual_places(own, key, entry):
        if exists(path):
            document.fault("path_elsewhere", key, f"{entry}{_origin(entry)} is not there: {path} is used")
            return path
    document.fault("split_missing", key, f"{key}: {_join(base, entry)}{_origin(entry)} is not there")
    return None


def _usual_places(own: Path, key: str, entry: str) -> Iterator[Path]:
    """Yield the usual places of a split's images next to the YAML, beginning with the end of the declared path."""
    parts = [part for part in re.split(r"[\\/]+", entry) if part not in ("", ".", "..") and not part.endswith(":")]
    yield from (own.joinpath(*parts[begin:]) for begin in range(len(parts) - 1))
    names = {"train": ("train", "training"), "test": ("test", "testing")}.get(
        key, ("val", "valid", "validation", "dev")
    )
    for name in names:
        yield from (own / "images" / name, own / name / "images", own.parent / name / "images")
        yield from (own / "images" / f"{name}2017", own / name, own.parent / "images" / name)
    for below in ("data", "dataset", "datasets"):  # an archive that was unpacked beside its YAML
        yield from (own / below / "images" / name for name in names)
        yield from (own / below / name / "images" for name in names)


def _origin(path: str) -> str:
    """Return a remark on the form of a path that does not exist, such as a Windows path; empty: none.

    >>> _origin("C:\\\\data\\\\train"), _origin("images/train")
    (' (a Windows path)', '')
    """
    if "\\" in path or re.match(r"[A-Za-z]:[\\/]", path):
        return " (a Windows path)"
    return " (a path of another machine)" if path.startswith("/") else ""


def _is_possible(path: str) -> bool:
    """Return whether a file system could hold a path: no NUL, no name over 255 bytes."""
    parts = path.encode("utf-8", "surrogatepass").split(b"/")
    return "\0" not in path and len(path) < _LONGEST_PATH and max(map(len, parts)) <= _LONGEST_NAME


def _walk(document: DataYaml, folder: Path) -> list[Path]:
    """Return the image files below a folder, without hidden ones; links are followed, no folder is entered twice.

    If the first thousands of folders have hardly any image (a disk or a home folder was named), this is a fault.
    """
    found: list[Path] = []
    entered: set[str] = set()
    fruitful = 0
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        images = [here / name for name in names if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
        found += images
        fruitful += bool(images)
        if len(entered) > _MANY_FOLDERS and len(entered) > 20 * fruitful:
            what = f"{folder} is no folder of images: {fruitful} of its first {len(entered):,} folders hold any"
            document.fault("split_missing", "path", what)
            return []
    return found


def _read_list(document: DataYaml, file: Path, base: Path) -> list[Path]:
    if not is_file(file) or file.stat().st_size > _LARGEST_LIST:  # /dev/zero has no end, and a pipe no beginning
        document.fault("split_missing", "path", f"{file} is no list: a device, a pipe, or over {_LARGEST_LIST:,} bytes")
        return []
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        document.fault("split_missing", "path", f"{file} cannot be read as a list: {type(error).__name__}")
        return []
    found: list[Path] = []
    loose = odd = 0
    for line in lines:
        if not line:
            continue
        if Path(line).suffix.lower() not in SUFFIXES or not _is_possible(line):
            odd += 1
            continue
        path = _join(file.parent, line)
        if not line.startswith("./") and not Path(line).is_absolute():
            loose += 1
            if not exists(path) and exists(other := _join(base, line)):
                path = other
        found.append(path)
    if loose:
        document.fault("list_relative", "train", f"{file}: {loose} lines are relative without ./")
    if odd:
        document.fault("list_not_image", "train", f"{file}: {odd} lines end in no image suffix")
    return found


def _join(folder: Path, name: str) -> Path:
    return lexical(folder / name)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__
