"""Convert a dataset to another format, and report what is lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Unpack

from liftgate.data.formats.losses import Loss
from liftgate.data.formats.read_back import ReadBack, read_back
from liftgate.data.formats.write import write_dataset
from liftgate.data.provenance.card import build_card
from liftgate.data.provenance.declared_terms import known_terms
from liftgate.progress import Progress, silent
from liftgate.services.dataset_source import DatasetSource, ReadFaults, SourceOptions, faults_of, source_of


@dataclass(frozen=True, slots=True)
class Conversion:
    """Result of a conversion."""

    from_format: str
    to_format: str
    files: tuple[Path, ...]
    n_images: int
    """Number of images that were written"""
    n_objects: int
    n_images_read: int
    n_objects_read: int
    emptied: int
    """Number of images that lost all their boxes by `keep`"""
    losses: tuple[Loss, ...]
    """Content of the source that is missing or changed in the copy"""
    faults: ReadFaults
    """Content of the source that could not be read"""
    read_back: ReadBack | None
    """Differences of the copy from the source; None without `verify`"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "from": self.from_format,
            "to": self.to_format,
            "files": [str(path) for path in self.files],
            "n_images": self.n_images,
            "n_objects": self.n_objects,
            "n_images_read": self.n_images_read,
            "n_objects_read": self.n_objects_read,
            "emptied": self.emptied,
            "losses": [asdict(loss) for loss in self.losses],
            **self.faults.to_dict(),
            "read_back": None if self.read_back is None else self.read_back.to_dict(),
        }


def convert(
    data: Path | str | DatasetSource,
    to: str,
    out: Path | str,
    *,
    verify: bool = False,
    progress: Progress = silent,
    **options: Unpack[SourceOptions],
) -> Conversion:
    """Write a dataset in another format.

    Args:
        data: a dataset in any format that `read` takes.
        to: `yolo`, `coco`, `voc` or `cvat`.
        out: a new folder; images become links.
        verify: read the copy again and compare it with the source, object by object.
        progress: called while files are read and written.
        **options: how to read `data` (see `SourceOptions`).

    Returns:
        The files, the numbers of images and objects, and what was lost.

    Raises:
        DataError: unknown format, `out` is not empty, or no image can be written.
    """
    source = source_of(data, **options)
    dataset, emptied = source.open_and_count(progress)
    consent = known_terms(dataset, source.declared).consent
    card = build_card(dataset, f"liftgate data convert --to {to}", consent=consent)
    written = write_dataset(dataset, to, Path(out), card, progress=progress)
    return Conversion(
        from_format=dataset.format,
        to_format=to,
        files=written.files,
        n_images=written.n_images,
        n_objects=written.n_objects,
        n_images_read=len(dataset.images),
        n_objects_read=len(dataset.labels),
        emptied=emptied,
        losses=written.losses,
        faults=faults_of(dataset),
        read_back=read_back(dataset, written, progress=progress) if verify else None,
    )
