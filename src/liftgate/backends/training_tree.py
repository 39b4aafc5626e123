"""Read a training tree that `data.formats.yolo.write` wrote for a backend: data.yaml, image lists, and links.

The links have new names; the manifest beside data.yaml maps them to the image ids of the data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liftgate.backends.events import Json
from liftgate.documents import LARGE, DocumentError, Limits, load_json, load_yaml
from liftgate.errors import DataError

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Tree:
    """A data.yaml that Liftgate wrote, and its images."""

    source: Path
    root: Path
    classes: tuple[str, ...]
    raw: Json
    ids: dict[str, str]
    """image path below the tree → image id in the data set"""

    def images(self, split: str) -> list[Path]:
        """Return the image paths of a split in the order of its list file, with repeats; links are not resolved."""
        listed = self.raw.get(split)
        if not listed:
            raise DataError("no such split", where=self.source, got=split, hint="train, val or test in data.yaml")
        path = self.root / str(listed)
        if path.is_dir():
            return sorted(item for item in path.rglob("*") if item.is_file())
        if not path.is_file():
            raise DataError("the split's list of images is gone", where=path)
        lines = path.read_text(encoding="utf-8").splitlines()
        return [path.parent / line if line.startswith("./") else self.root / line for line in lines if line.strip()]

    def image_id(self, path: Path) -> str:
        """Return the id in the data set of an image of the tree."""
        name = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()
        return self.ids.get(name, name)


def read_tree(source: Path) -> Tree:
    """Read a data.yaml written by Liftgate.

    Raises:
        DataError: it cannot be read, or it is not one of Liftgate's (someone's own YAML may run a download script).
    """
    try:
        raw = load_yaml(source, Limits())
        names = raw["names"]
        classes = tuple(str(names[i]) for i in range(len(names)))
        root = Path(raw.get("path") or source.parent)
    except (OSError, DocumentError, KeyError, TypeError) as error:
        raise DataError(f"not a data.yaml of a training tree: {error}", where=source) from error
    if "download" in raw:
        raise DataError("a training tree has no `download`", where=source, hint="pass the tree that Liftgate wrote")
    return Tree(source, source.parent / root, classes, raw, _read_image_ids(source.parent / MANIFEST))


def label_path(image: Path) -> Path:
    """Return the label file of an image: the last folder `images` becomes `labels`, as in Ultralytics."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_image_ids(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    rows = load_json(manifest, LARGE)
    return {str(path): str(image) for path, image in rows.get("images", rows).items()}
