"""Look up images by the names that side files use: id, file name or stem."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.data.core.dataset import Image
from liftgate.errors import DataError


def base_and_stem(name: str) -> tuple[str, str]:
    """Return the last part of a path as an image's id is one, and that without its suffix, as `pathlib` has them.

    >>> base_and_stem("a/x.1.jpg"), base_and_stem(".jpg"), base_and_stem("x.")
    (('x.1.jpg', 'x.1'), ('.jpg', '.jpg'), ('x.', 'x.'))
    """
    base = name.rpartition("/")[2]
    stem, _, suffix = base.rpartition(".")
    return base, stem if stem and suffix else base


def same_place(name: str, other: str) -> bool:
    """Return whether two names may be of one picture by their folders: the shorter is the end of the longer.

    >>> same_place("mon/1.jpg", "val/mon/1.jpg"), same_place("1", "mon/1.jpg"), same_place("tue/1.jpg", "mon/1.jpg")
    (True, True, False)
    """
    first, second = (_folders(one) for one in (name, other))
    shared = min(len(first), len(second))
    return first[len(first) - shared :] == second[len(second) - shared :]


def _one_place(names: set[str]) -> bool:
    longest = max(names, key=len)
    return all(same_place(name, longest) for name in names)


def _rightful(name: str, image: str) -> bool:
    """Return whether a name means an image though others do too: it is its id, an end of it, or a whole path to it."""
    return name == image or (same_place(name, image) and (not _folders(name) or bool(_folders(image))))


def _folders(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")[:-1]


class NameClaims:
    """The names by which images were found, one source at a time: two pictures must not count as one image.

    >>> claims = NameClaims()
    >>> claims.clash("tue/1.jpg", "mon/1.jpg"), claims.clash("wed/1.jpg", "mon/1.jpg")
    ('', 'tue/1.jpg')
    >>> claims.clash("mon/2.jpg", "2.jpg"), claims.clash("val/mon/2.jpg", "2.jpg"), claims.clash("tue/2.jpg", "2.jpg")
    ('', '', 'val/mon/2.jpg')
    >>> claims.clash("3.jpg", "3.jpg"), claims.clash("mon/3.jpg", "3.jpg"), claims.clash("tue/3.jpg", "3.jpg")
    ('', '', 'mon/3.jpg')
    """

    def __init__(self) -> None:
        self._longest: dict[str, str] = {}

    def clash(self, name: str, image: str) -> str:
        """Return an earlier name of the image that lies in another folder than this one; empty: there is none.

        Args:
            name: by which it was found now.
            image: its id.
        """
        before = self._longest.setdefault(image, name)
        if before != name and not same_place(before, name):
            return before
        if len(name) > len(before):  # of which the folders say more
            self._longest[image] = name
        return ""


def require_one_picture(claims: NameClaims, where: str, name: str, image: str) -> None:
    """Refuse a name if a picture of another folder was taken for the same image before.

    Raises:
        DataError: names both.
    """
    if before := claims.clash(name, image):
        raise DataError(
            "two pictures would be one image", where=where, got=f"{before} and {name}", expected=f"one: {image}",
            hint="was this made on another data set or split? Names with the data set's folders tell them apart",
        )  # fmt: skip


class ImageNames:
    """Index of images by id, else the end of one, file name or stem; a name that several images share finds none.

    >>> from pathlib import Path
    >>> names = ImageNames([Image("a/x.jpg", Path("/d/a/x.jpg"), 8, 8), Image("b/y.jpg", Path("/d/b/y.jpg"), 8, 8)])
    >>> names.find("a/x.jpg"), names.find("y"), names.find("z")
    (0, 1, None)
    >>> deep = ImageNames([Image(f"val/{day}/x.jpg", Path(f"/d/{day}/x.jpg"), 8, 8) for day in ("mon", "tue")])
    >>> deep.find("tue/x.jpg"), deep.find("x.jpg")
    (1, None)
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self._tables: tuple[dict[str, int | None], ...] = ({}, {}, {})
        self._ends: dict[str, int | None] = {}
        self.ids = tuple(image.id for image in images)
        for index, image in enumerate(images):
            for table, name in zip(self._tables, (image.id, *base_and_stem(image.id)), strict=True):
                table[name] = None if name in table else index
            end = image.id.partition("/")[2]
            while "/" in end:  # the folders from one further down
                self._ends[end] = None if end in self._ends else index
                end = end.partition("/")[2]

    def find(self, name: str) -> int | None:
        """Return the index of the image; None: unknown or ambiguous."""
        index = self._find(name)
        # A backslash separates folders on Windows, and is a character of a name elsewhere.
        return self._find(name.replace("\\", "/")) if index is None and "\\" in name else index

    def find_all(self, names: Sequence[str]) -> list[int | None]:
        """Return the index of each image, as `find`; None also where another name has a better claim to that image.

        A file name decides where folders differ (images may lie elsewhere on another machine), but not for two
        pictures of two folders: neither is then taken for an image that is in a third.

        >>> from pathlib import Path
        >>> names = ImageNames([Image("mon/1.jpg", Path("/d/mon/1.jpg"), 8, 8)])
        >>> [names.find_all(given) for given in (["tue/1.jpg"], ["tue/1.jpg", "mon/1.jpg"], ["tue/1", "wed/1"])]
        [[0], [None, 0], [None, None]]
        """
        found = [self.find(name) for name in names]
        claims: dict[int, set[str]] = {}
        for name, index in zip(names, found, strict=True):
            if index is not None:
                claims.setdefault(index, set()).add(name)
        torn = {index for index, known in claims.items() if not _one_place(known)}
        return [
            None if index in torn and not _rightful(name, self.ids[index]) else index
            for name, index in zip(names, found, strict=True)
        ]

    def _find(self, name: str) -> int | None:
        for table in self._tables:
            if (index := table.get(name)) is not None:
                return index
        if (index := self._ends.get(name)) is not None:
            return index
        # A path from another machine or a folder further up: as much of its end as is an id, else its last part, as
        # long as one image only has that name.
        rest = name
        while "/" in rest:
            rest = rest.partition("/")[2]
            if "/" in rest and (index := self._tables[0].get(rest)) is not None:
                return index
        return self._tables[1].get(rest) if rest != name else None
