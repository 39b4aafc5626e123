"""Find the image of the truth for each row of a results file: by `file_name`, else by `image_id`.

Ultralytics writes `image_id` as the number of the file name's stem (000000000009.png → 9), and in newer versions the
file's name in every row. COCO tools write the id that the truth's JSON has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import xywh_to_xyxy
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_names import ImageNames, NameClaims, base_and_stem, require_one_picture
from liftgate.data.formats.coco.annotations import by_spelling
from liftgate.data.formats.coco.document import UNDECODABLE, Id
from liftgate.data.formats.coco.evidence import matched_class, surest, vote
from liftgate.data.formats.coco.results import CocoResults
from liftgate.errors import DataError

_HEAD = 1 << 16
_LARGEST = 1_500_000_000

BY_NAME, BY_ID, BY_NUMBER = "file_name", "image_id", "number of the file name"


class _NamedRow(msgspec.Struct, gc=False):
    file_name: str | None = None


def file_names(path: Path) -> list[str | None] | None:
    """Return the `file_name` of every row of a results file; None if its first rows have none."""
    with path.open("rb") as file:
        if b'"file_name"' not in file.read(_HEAD) or path.stat().st_size > _LARGEST:
            return None
        file.seek(0)
        data = file.read().removeprefix(b"\xef\xbb\xbf")
    try:
        return [row.file_name for row in msgspec.json.decode(data, type=list[_NamedRow])]
    except UNDECODABLE:  # NaN in some row: `read_results` reports it
        return None


class ImageIds:
    """Index of the images of a dataset by the ids and names that results files use."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._exact: dict[Id, int] = {
            image.coco_id: index for index, image in enumerate(dataset.images) if image.coco_id is not None
        }
        self._spelled = by_spelling(self._exact)
        self._known: dict[Id, int | None] = {}
        self.respelled = 0
        """Ids that were found in another type than the dataset's (2299 and "2299")."""
        self.note = ""
        """Note for every metric that depends on an assumption about the ids; empty: none needed"""

    @cached_property
    def _names(self) -> ImageNames:
        return ImageNames(self._dataset.images)

    @cached_property
    def _numbers(self) -> dict[int, int | None]:
        """Return number of a file name's stem → image index; None: more than one image has the number."""
        table: dict[int, int | None] = {}
        for index, image in enumerate(self._dataset.images):
            stem = base_and_stem(image.id)[1]
            if stem.isascii() and stem.isdigit():
                table[int(stem)] = None if int(stem) in table else index
        return table

    def find(self, id_: Id) -> int | None:
        """Return the image index of an id: COCO id, else id, file name or stem, else its text if that is unique."""
        if id_ in self._exact:
            return self._exact[id_]
        if id_ not in self._known:
            place = self._names.find(id_) if isinstance(id_, str) else None
            if place is None and (place := self._spelled.get(str(id_))) is not None:
                self.respelled += 1
            self._known[id_] = self._names.find(str(id_)) if place is None else place
        return self._known[id_]

    def rows(self, path: Path, results: CocoResults, *, declared: bool = False) -> NDArray[np.int64]:
        """Return the index of each row's image in the dataset, −1: unknown; shape (n,).

        `file_name` decides where the rows have it. Numbers that are not ids of the truth, or that fit its boxes
        only as numbers in file names, are read as such. `declared`: Liftgate wrote the file, with the truth's ids.

        Raises:
            DataError: `file_name` and `image_id` are of two images; a number that several file names have; or ids whose
                boxes fit the truth clearly better as numbers in file names.
        """
        names = file_names(path) if len(results) else None
        if names is not None and len(names) == len(results) and any(names):
            return self._by_file_name(path, results, names)
        by_id = [self.find(id_) for id_ in results.ids]
        claims = NameClaims()
        for id_, place in zip(results.ids, by_id, strict=True):
            if isinstance(id_, str) and place is not None and id_ not in self._exact:
                require_one_picture(claims, str(path), id_, self._dataset.images[place].id)
        if not any(isinstance(id_, int) for id_ in results.ids):
            return _column(by_id, results)
        by_number = [self._numbers.get(id_, -1) if isinstance(id_, int) else self.find(id_) for id_ in results.ids]
        for id_, place in zip(results.ids, by_number, strict=True):
            if place is None and isinstance(id_, int) and id_ not in self._exact:
                raise self._ambiguous_number(path, id_)
        numbered = all(place is not None and place >= 0 for place in by_number)
        if all(place is not None for place in by_id):
            if self._exact and numbered and by_id != by_number and not declared:
                self._check_by_boxes(path, results, _column(by_id, results), _column(by_number, results))
            return _column(by_id, results)
        if numbered:
            return _column(by_number, results)
        return _column(by_id, results)

    def _by_file_name(self, path: Path, results: CocoResults, names: Sequence[str | None]) -> NDArray[np.int64]:
        places: dict[tuple[int, str | None], int] = {}
        claims = NameClaims()
        column = np.empty(len(results), dtype=np.int64)
        for row, (number, name) in enumerate(zip(results.image.tolist(), names, strict=True)):
            place = places.get((number, name))
            if place is None:
                where = f"{path}: [{row}]"
                place = places[number, name] = self._image_of_row(where, results.ids[number], name)
                if name and place >= 0:
                    require_one_picture(claims, where, name, self._dataset.images[place].id)
            column[row] = place
        return column

    def _image_of_row(self, where: str, id_: Id, name: str | None) -> int:
        if not name:
            place = self.find(id_)
            return -1 if place is None else place
        by_name, by_id = self._names.find(name), self._exact.get(id_)
        base = PurePosixPath(name.replace("\\", "/"))
        if by_name is None:  # two folders may have a file of this name: then the id decides
            images = self._dataset.images
            return by_id if by_id is not None and PurePosixPath(images[by_id].id).name == base.name else -1
        number = int(base.stem) if base.stem.isascii() and base.stem.isdigit() else None
        if by_id is not None and by_id != by_name and id_ not in (number, base.stem):
            images = self._dataset.images
            raise DataError(
                "file_name and image_id mean two images", where=where, got=f"{name} and {id_!r}",
                expected=f"one image: {id_!r} is {images[by_id].id}",
                hint="were these predictions made on another data set or split?",
            )  # fmt: skip
        return by_name

    def _check_by_boxes(
        self, path: Path, results: CocoResults, by_id: NDArray[np.int64], by_number: NDArray[np.int64]
    ) -> None:
        rows = surest(results.score)
        rows = rows[np.isfinite(results.boxes[rows]).all(axis=1) & (by_id[rows] != by_number[rows])]
        boxes = xywh_to_xyxy(results.boxes[rows])
        hits = [matched_class(self._dataset, column[rows], boxes) >= 0 for column in (by_id, by_number)]
        found = vote(hits[0], hits[1])
        if found.answer == 2:
            got = f"{found.second} boxes match an object as numbers of file names, {found.first} as ids of the truth"
            hint = (
                "give the images by file_name in every row, as newer versions of Ultralytics do, or by the truth's ids"
            )
            raise DataError("the image ids are the numbers of file names", where=path, got=got, hint=hint)
        if found.answer == 0:
            self.note = (
                f"{path.name}: its image ids can be the truth's ids or the numbers of file names, and the boxes do not "
                "decide; read as the truth's ids"
            )

    def _ambiguous_number(self, path: Path, id_: int) -> DataError:
        images = [image.id for image in self._dataset.images]
        same = [name for name in images if PurePosixPath(name).stem.isdigit() and int(PurePosixPath(name).stem) == id_]
        return DataError(
            "several images have the number of this image_id", where=path, got=f"{id_}: {', '.join(same[:4])}",
            hint="a file_name in every row, or image_ids as text, would distinguish them",
        )  # fmt: skip


def _column(places: Sequence[int | None], results: CocoResults) -> NDArray[np.int64]:
    table = np.array([-1 if place is None else place for place in places], dtype=np.int64)
    return table[results.image] if len(table) else results.image
