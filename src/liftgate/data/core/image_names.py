"""Look up images by the names that side files use: id, file name or stem."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.data.core.dataset import Image


def base_and_stem(name: str) -> tuple[str, str]:
    """Return the last part of a path as an image's id is one, and that without its suffix, as `pathlib` has them.

    >>> base_and_stem("a/x.1.jpg"), base_and_stem(".jpg"), base_and_stem("x.")
    (('x.1.jpg', 'x.1'), ('.jpg', '.jpg'), ('x.', 'x.'))
    """
    base = name.rpartition("/")[2]
    stem, _, suffix = base.rpartition(".")
    return base, stem if stem and suffix else base


class ImageNames:
    """Index of images by id, else file name, else stem; a name that several images share finds none.

    >>> from pathlib import Path
    >>> names = ImageNames([Image("a/x.jpg", Path("/d/a/x.jpg"), 8, 8), Image("b/y.jpg", Path("/d/b/y.jpg"), 8, 8)])
    >>> names.find("a/x.jpg"), names.find("y"), names.find("z")
    (0, 1, None)
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self._tables: tuple[dict[str, int | None], ...] = ({}, {}, {})
        for index, image in enumerate(images):
            for table, name in zip(self._tables, (image.id, *base_and_stem(image.id)), strict=True):
                table[name] = None if name in table else index

    def find(self, name: str) -> int | None:
        """Return the index of the image; None: unknown or ambiguous."""
        index = self._find(name)
        # A backslash separates folders on Windows, and is a character of a name elsewhere.
        return self._find(name.replace("\\", "/")) if index is None and "\\" in name else index

    def _find(self, name: str) -> int | None:
        for table in self._tables:
            if (index := table.get(name)) is not None:
                return index
        # A path from another machine or a folder further up: as much of its end as is an id, else its last part, as
        # long as one image only has that name.
        rest = name
        while "/" in rest:
            rest = rest.partition("/")[2]
            if "/" in rest and (index := self._tables[0].get(rest)) is not None:
                return index
        return self._tables[1].get(rest) if rest != name else None
