"""Exports that are kept with a version: copied whole, and made from that version's weights.

A card says which weights an export was made from. One of other weights beside a version would be served, benched and
promoted in its name, so it is not taken, and one that an older Liftgate took is not used. An export without a card
says nothing about its weights: it is taken on its bringer's word.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from liftgate.deploy.export.card import CARD, ExportCard
from liftgate.deploy.export.card_file import find_card, read_card
from liftgate.deploy.registry.version import ModelVersion
from liftgate.errors import DataError
from liftgate.files import names_below
from liftgate.hashing import short


class VersionWeights(NamedTuple):
    """A version and the hash of its weights, which its exports have to be made from."""

    version: str
    sha256: str

    def require_source_of(self, card: ExportCard, where: Path) -> None:
        """Refuse an export that was made from other weights.

        Raises:
            DataError: its card names other weights, and none of its files is the version's.
        """
        if card.weights.sha256 == self.sha256 or self.sha256 in {one.sha256 for one in card.files}:
            return
        raise DataError(
            f"this export was made from other weights than those of {self.version}",
            where=where,
            expected=f"{short(self.sha256)}, the weights of {self.version}",
            got=f"{short(card.weights.sha256)} ({card.weights.name})",
            hint="export the weights of that version; or register what this one was made from as a version of its own",
        )


def copy_export(source: Path, target: Path, weights: VersionWeights) -> None:
    """Copy a file, or a folder without links, to a new folder; cards in it have to fit files and weights.

    Raises:
        DataError: there is nothing to copy, a link in it, its card has no hash, was edited or is of other files, or it
            was made from other weights.
    """
    if not source.exists():
        raise DataError("no such export", where=source)
    if source.is_file():
        if (card := find_card(source)) is not None:
            hint = f"name the folder, {card.parent}: the card says how the file is to be used"
            raise DataError("this file is part of an export with a card", where=source, hint=hint)
        target.mkdir(parents=True)
        shutil.copyfile(source, target / source.name)
        return
    names = names_below(source)
    if not names:
        raise DataError("the export is an empty folder", where=source)
    for name in names:
        if (source / name).is_symlink():
            raise DataError("the export has a link", where=source / name, hint="copy the file itself there")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for name in names:
        if PurePosixPath(name).name == CARD:
            weights.require_source_of(read_card(target / name), source / name)


def require_own_export(version: ModelVersion, place: str) -> None:
    """Refuse an export of a version, such as `exports/onnx`, that was made from other weights than the version's.

    Raises:
        DataError: it was, or its card cannot be read.
    """
    folder = version.folder / place
    weights = VersionWeights(version.version, version.weights_hash)
    for name in sorted(version.files):
        if name.startswith(f"{place}/") and PurePosixPath(name).name == CARD:
            weights.require_source_of(read_card(version.folder / name, check_files=False), folder)


def exports_of_others(version: ModelVersion) -> Iterator[tuple[str, DataError]]:
    """Yield each export of a version that is not its own, with the reason; an older Liftgate took such."""
    for place in version.exports:
        try:
            require_own_export(version, place)
        except DataError as error:
            yield place, error
