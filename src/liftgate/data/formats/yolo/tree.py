"""Write a Dataset as a training tree: exactly what Ultralytics will read, without copies.

    data.yaml            absolute `path`, names, kpt_shape, flip_idx; nothing else of the user's YAML
    train.txt …          one list file per split; an image is listed as often as `repeats` has it
    images/NAME.jpg      links to the originals (copies where the file system has no links)
    labels/NAME.txt      rows in fractions, 7 digits: a box returns to 0.01 px up to 65,000 px
    groups.csv           name, group; where groups are known
    manifest.json        link → image id, so that predictions can be traced back; what was left out; and the SHA-256 of
                         every label and list, to detect damage before a tree is used again

All names are generated: two images called a.jpg in different folders do not collide, and no name of the user's (with
`..`, a line break, or /images/ in its path) can lead Ultralytics astray. Left out, because Ultralytics would drop the
image or train on nonsense: images that it cannot read, crowd and ignore rows, boxes without area, duplicate
rows; and training images that would wrongly be empty, because none of their objects can be read or written. Boxes
are cut at the image's edge. Originals are never touched: Ultralytics repairs a JPEG by replacing the link.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import yaml
from numpy.typing import NDArray

from liftgate.boxes import xyxy_to_cxcywh
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.faults import unread_images
from liftgate.data.formats.links import link_image, safe_names
from liftgate.data.grouping.groups import write_groups
from liftgate.data.provenance.card import Card, require_card_place, write_card
from liftgate.documents import LARGE, Limits, load_json, load_yaml
from liftgate.errors import DataError, Refused
from liftgate.files import atomic_folder, fsync_folder, require_empty, write_bytes, write_text
from liftgate.hashing import content_hash, file_hash
from liftgate.paths import is_file, lexical
from liftgate.progress import Progress, report_progress, silent


@dataclass(frozen=True, slots=True)
class _Entry:
    image: Image
    name: str
    repeats: int
    rows: Sequence[str]
    left_out: int

    @property
    def link(self) -> str:
        return f"images/{self.name}"


@dataclass(frozen=True, slots=True)
class TrainingTree:
    """Result of writing a training tree."""

    data_yaml: Path
    n_images: int
    n_objects: int
    names: Mapping[str, str]
    """image id → file name in the tree"""


def write(
    dataset: Dataset,
    folder: Path,
    *,
    repeats: Mapping[str, int] | None = None,
    portable: bool = False,
    card: Card | None = None,
    finish: Callable[[Path], None] | None = None,
    progress: Progress = silent,
) -> Path:
    """Write the training tree and return its data.yaml; see `write_tree`."""
    return write_tree(
        dataset, folder, repeats=repeats, portable=portable, card=card, finish=finish, progress=progress
    ).data_yaml


def write_tree(
    dataset: Dataset,
    folder: Path,
    *,
    repeats: Mapping[str, int] | None = None,
    faithful: bool = False,
    portable: bool = False,
    card: Card | None = None,
    finish: Callable[[Path], None] | None = None,
    progress: Progress = silent,
) -> TrainingTree:
    """Write the training tree; an older tree of ours in `folder` is replaced, unless other files have come into it.

    Images without a split are left out.

    Args:
        dataset: the data to write.
        folder: the tree's folder.
        repeats: image id → how often a training image is seen per epoch (default 1; 0: not at all).
        faithful: keep boxes without area, for conversion.
        portable: leave `path` out of data.yaml, so that a copy of the folder reads its own labels: for a data set that
            is kept. A tree that only a training uses names its place, and a moved one is not taken for it.
        card: data card, written as README.md.
        finish: adds files to the folder, or changes its lists, before it gets its name.
        progress: called after each file.

    Raises:
        DataError: `folder` has other files; `repeats` names an unknown image or one outside train.
    """
    folder = lexical(folder)
    if not (folder / "manifest.json").is_file():
        require_empty(folder)
    entries = _entries(dataset, _checked_repeats(dataset, repeats or {}), faithful, progress)
    with atomic_folder(folder, _own_file_test(folder)) as part:
        _write_files(part, entries, dataset, progress)
        write_text(part / "data.yaml", _document(dataset, None if portable else folder, entries))
        if finish is not None:
            finish(part)
        write_bytes(part / "manifest.json", _manifest(part, entries, dataset))
        if card is not None:
            write_card(card, part)
        os.sync()  # an fsync for each of 100,000 labels would take minutes
    fsync_folder(folder.parent)
    return TrainingTree(
        folder / "data.yaml",
        len(entries),
        sum(len(entry.rows) for entry in entries),
        {entry.image.id: entry.name for entry in entries},
    )


_CACHES = (".cache", ".npy")
"""Files that Ultralytics writes into a tree"""


def _own_file_test(folder: Path) -> Callable[[str], bool]:
    """Return a function from a file's path in the tree to whether Liftgate or Ultralytics wrote it."""
    try:
        links = frozenset(read_manifest(folder))
    except DataError:  # damaged: every file in the folders of images and labels
        links = None
    stems = frozenset(PurePosixPath(link).stem for link in links or ())
    own = {"data.yaml", "manifest.json", "groups.csv"}
    own |= {path.name for path in folder.glob("*.txt") if path.read_bytes()[:9] in (b"", b"./images/")}
    with contextlib.suppress(Refused):  # a README.md that is not ours
        own.add(require_card_place(folder).name)

    def is_own(path: str) -> bool:
        place, _, name = path.rpartition("/")
        if path in own or path.endswith(_CACHES):
            return True
        if links is None:
            return place in ("images", "labels")
        return path in links or (place == "labels" and name.removesuffix(".txt") in stems)

    return is_own


def is_intact(data_yaml: Path) -> bool:
    """Return whether a training tree is unchanged and in the folder it was written to.

    Labels, lists and data.yaml must have the hashes in the manifest, and every link must lead to an image. A tree of an
    old version without hashes is not intact.
    """
    folder = lexical(data_yaml.parent)
    try:
        at_home = load_yaml(data_yaml, Limits()).get("path", str(folder)) == str(folder)
        links = read_manifest(folder)
        manifest = load_json(folder / "manifest.json", LARGE)
        whole = manifest.pop("manifest_sha256") == content_hash(manifest) and manifest["sha256"] == _file_hashes(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
        return False
    return bool(at_home) and bool(whole) and all((folder / link).is_file() for link in links)


def _file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every label, every list and data.yaml by its path in the tree."""
    paths = [folder / "data.yaml", *sorted(folder.glob("*.txt")), *sorted((folder / "labels").glob("*.txt"))]
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in paths}


def read_manifest(folder: Path) -> dict[str, str]:
    """Return image id by link (`images/NAME.jpg`, relative to the tree).

    Raises:
        DataError: there is no manifest.
    """
    path = folder / "manifest.json"
    try:
        images = load_json(path, LARGE)["images"]
        return {str(link): str(image) for link, image in images.items()}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise DataError("no manifest of a training tree", where=path, got=f"{type(error).__name__}: {error}") from None


def _checked_repeats(dataset: Dataset, repeats: Mapping[str, int]) -> Mapping[str, int]:
    splits = {image.id: image.split for image in dataset.images}
    for image, times in repeats.items():
        if image not in splits:
            raise DataError("repeats names an unknown image", got=image)
        if splits[image] != "train" and times != 1:
            raise DataError("only train may be repeated", where=image, got=f"split {splits[image]}")
        if times < 0:
            raise DataError("repeats is negative", where=image, got=times)
    return repeats


def _entries(dataset: Dataset, repeats: Mapping[str, int], faithful: bool, progress: Progress) -> list[_Entry]:
    order = np.argsort(dataset.labels.image, kind="stable")
    starts = np.searchsorted(dataset.labels.image[order], np.arange(len(dataset.images) + 1))
    dims = dataset.keypoints.dims if dataset.keypoints else 3
    seen = [
        index
        for index, image in enumerate(dataset.images)
        if image.split is not None
        and min(image.width, image.height) >= 10
        and repeats.get(image.id, 1) > 0
        and is_file(image.path)
    ]
    names = safe_names(dataset.images[index] for index in seen)
    unread = unread_images(dataset)
    entries = []
    for index, name in report_progress(list(zip(seen, names, strict=True)), "preparing labels", progress):
        image = dataset.images[index]
        labels = dataset.labels.take(order[starts[index] : starts[index + 1]])
        rows = format_rows(labels, image, dims, faithful=faithful)
        if not rows and (len(labels) or unread[index]) and (faithful or image.split == "train"):
            continue  # not empty: none of its objects can be read or written
        entries.append(_Entry(image, name, repeats.get(image.id, 1), rows, len(labels) - len(rows)))
    return entries


def format_rows(labels: Labels, image: Image, dims: int = 3, *, faithful: bool = False) -> list[str]:
    """Return one image's labels as YOLO rows, without crowd, ignored and duplicate ones.

    Boxes are cut at the image's edge; `faithful` keeps those that have no area.
    """
    size = np.array(image.upright, dtype=np.float64)
    boxes = np.clip(labels.boxes, 0, np.tile(size, 2))
    whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    keep = np.flatnonzero((whole | faithful) & ~labels.crowd & ~labels.ignore)
    fractions = xyxy_to_cxcywh(boxes[keep], size)
    points = None if labels.keypoints is None else _points(labels.keypoints[keep], size, dims)
    rows = []
    for place, (cls, box) in enumerate(zip(labels.cls[keep].tolist(), fractions.tolist(), strict=True)):
        numbers = [f"{number:.7f}" for number in box]
        if points is not None:
            numbers += [
                f"{number:.7f}" if at % dims < 2 else f"{number:.0f}" for at, number in enumerate(points[place])
            ]
        rows.append(f"{cls} {' '.join(numbers)}")
    return list(dict.fromkeys(rows))


def _points(points: NDArray[np.float64], size: NDArray[np.float64], dims: int) -> list[list[float]]:
    """Return keypoints as fractions; one outside the image becomes unlabelled, as in Ultralytics' augmentation.

    Without a visibility column Ultralytics reads a negative coordinate as unlabelled, and drops the image below −0.01.
    """
    fractions = points.copy()
    fractions[..., :2] /= size
    outside = ((fractions[..., :2] < 0) | (fractions[..., :2] > 1)).any(axis=-1) | (fractions[..., 2] <= 0)
    fractions[outside] = 0 if dims == 3 else -0.005
    flat: list[list[float]] = fractions[..., :dims].reshape(len(points), points.shape[1] * dims).tolist()
    return flat


def _write_files(folder: Path, entries: Sequence[_Entry], dataset: Dataset, progress: Progress) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for entry in report_progress(entries, "writing", progress):
        link_image(entry.image.path, folder / entry.link)
        if entry.image.label is not None:  # an unlabelled image gets no label file
            # Not files.write_text: an fsync for each of 100,000 labels; the whole tree is renamed into place.
            text = "".join(f"{row}\n" for row in entry.rows)
            (folder / "labels" / entry.name).with_suffix(".txt").write_text(text, encoding="ascii")
    for split in dict.fromkeys(("train", "val", *dataset.splits)):
        lines = [f"./{entry.link}\n" * entry.repeats for entry in entries if entry.image.split == split]
        (folder / f"{split}.txt").write_text("".join(lines), encoding="ascii")
    write_groups(folder, ((entry.name, entry.image.group) for entry in entries))


def _manifest(folder: Path, entries: Sequence[_Entry], dataset: Dataset) -> bytes:
    kept = {entry.image.id for entry in entries}
    manifest: dict[str, object] = {
        "images": {entry.link: entry.image.id for entry in entries},
        "images_left_out": [image.id for image in dataset.images if image.id not in kept],
        "rows_left_out": {entry.image.id: entry.left_out for entry in entries if entry.left_out},
        "sha256": _file_hashes(folder),
    }
    manifest["manifest_sha256"] = content_hash(manifest)
    # Escaped, not UTF-8: file names need not be text.
    return json.dumps(manifest, indent=1).encode("ascii")


def _document(dataset: Dataset, folder: Path | None, entries: Sequence[_Entry]) -> str:
    left_out = len(dataset.images) - len(entries)
    rows = sum(entry.left_out for entry in entries)
    keys: dict[str, object] = {} if folder is None else {"path": str(folder)}
    keys |= {split: f"{split}.txt" for split in dict.fromkeys(("train", "val", *dataset.splits))}
    keys["names"] = dict(enumerate(dataset.classes))
    if dataset.keypoints:
        keys["kpt_shape"] = [len(dataset.keypoints.names), dataset.keypoints.dims]
        keys["kpt_names"] = {index: list(dataset.keypoints.names) for index in range(len(dataset.classes))}
        if dataset.keypoints.flip_idx:
            keys["flip_idx"] = list(dataset.keypoints.flip_idx)
        if dataset.keypoints.sigmas:  # else Ultralytics takes 1/n for all, which flatters mAP
            keys["kpt_oks_sigmas"] = list(dataset.keypoints.sigmas)
    head = f"# Written by liftgate. Left out: {left_out} images, {rows} rows (crowd, ignored, without area, twice).\n"
    return head + yaml.safe_dump(keys, allow_unicode=True, sort_keys=False, width=1 << 20)
