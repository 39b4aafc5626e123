"""Training tree, as `data.formats.yolo.write` lays it out for a backend: a data.yaml, lists of images, and links.

The links have names of the tree's own; the manifest beside data.yaml maps them to the image ids of the dataset.
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
    """A data.yaml of Liftgate's own."""

    source: Path
    root: Path
    classes: tuple[str, ...]
    raw: Json
    ids: dict[str, str]
    """image path below the tree → image id of the dataset"""

    def images(self, split: str) -> list[Path]:
        """Return the images of a split in the order of its list file, repeats and all; absolute, links unresolved."""
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
        """Return the id that the dataset knows an image of the tree by."""
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
    return Tree(source, source.parent / root, classes, raw, _ids(source.parent / MANIFEST))


def label_path(image: Path) -> Path:
    """Return where the labels of an image lie: the last folder `images` becomes `labels` (Ultralytics' rule)."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _ids(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    rows = load_json(manifest, LARGE)
    return {str(path): str(image) for path, image in rows.get("images", rows).items()}
