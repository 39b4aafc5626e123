"""The card of an export on disk: written beside the model, found, read, and compared with the model's files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from liftgate.deploy.export.card import CARD, README, VERSION, CardFile, ExportCard
from liftgate.deploy.export.card_readme import readme_text
from liftgate.deploy.export.card_rules import require_consistent
from liftgate.documents import DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_json, write_text
from liftgate.hashing import content_hash, file_hash, short
from liftgate.records import to_record
from liftgate.suggestions import did_you_mean

_OWN_HASH = "card_sha256"
"""Key of the hash of all else that the card says: an edited value would give plausible wrong detections"""


def card_files(folder: Path, model: str) -> tuple[CardFile, ...]:
    """Return the files of a model below `folder` with their hashes; all files of it if it is a folder.

    Raises:
        DataError: there is no such file, or the folder is empty.
    """
    path = folder / model
    found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    if not found:
        raise DataError("the export has no file", where=path)
    return tuple(CardFile(one.relative_to(folder).as_posix(), file_hash(one), one.stat().st_size) for one in found)


def write_card(card: ExportCard, folder: Path) -> Path:
    """Write card.json and README.md into `folder` and return the path of the card.

    Raises:
        DataError: the card contradicts itself, so that it could not be read again.
    """
    path = folder / CARD
    require_consistent(card, path)
    write_text(folder / README, readme_text(card))
    write_json(path, {**msgspec.to_builtins(card), _OWN_HASH: _own_hash(card)})
    return path


def read_card(place: Path, *, check_files: bool = True) -> ExportCard:
    """Read the card of an export that its own hash vouches for.

    Args:
        place: the export's folder, its card.json, or its model file.
        check_files: compare every file with its size and hash.

    Raises:
        DataError: there is no card, it cannot be read, contradicts itself, was edited or has no hash of itself, or a
            file is missing or was changed.
    """
    path = find_card(place)
    if path is None:
        hint = "`liftgate export` writes one; a file of another tool has none"
        raise DataError("the export has no card", where=place, expected=CARD, hint=hint)
    try:
        document = load_json(path)
    except DocumentError as error:
        raise DataError("the card is no JSON", where=error.place(path), got=error.problem) from None
    except OSError as error:
        raise DataError("cannot read the card", where=path, got=error.strerror) from None
    said = _of_known_version(document, path)
    own = said.pop(_OWN_HASH, None)
    try:
        card = to_record(said, ExportCard)
    except msgspec.ValidationError as error:
        raise DataError("the card is not valid", where=path, got=str(error)) from None
    _require_known_keys(said, msgspec.to_builtins(card), path, "")
    require_consistent(card, path)
    if own is None:
        hint = "export again: whoever edits a card may take that line out, so nothing is done by a card without it"
        raise DataError("the card has no hash of itself", where=path, expected=_OWN_HASH, hint=hint)
    if own != _own_hash(card):
        hint = "export again; thresholds are changed where they are used, as by --conf"
        raise DataError("the card was edited after it was written", where=path, hint=hint)
    if check_files:
        require_files(card, path.parent)
    return card


def _own_hash(card: ExportCard) -> str:
    read_again = to_record(msgspec.to_builtins(card), ExportCard)  # 1 in the place of 1.0 is 1.0 then
    return content_hash(msgspec.to_builtins(read_again))


def find_card(place: Path) -> Path | None:
    """Return the card of a folder, of a card or of a model; None: there is none.

    A folder's own card comes first. A card beside a file or folder, or beside the folder that a file lies in (a model
    of several files, such as OpenVINO's), is its card only where it says that it is about that model: a folder may hold
    other models too.
    """
    own = place if place.name == CARD else place / CARD
    if own.is_file():
        return own
    for folder in place.parents[:2]:
        path = folder / CARD
        if path.is_file() and _is_about(path, place):
            return path
    return None


def _is_about(path: Path, place: Path) -> bool:
    """Return whether a card is about a model beside it; one that cannot be read is, so that its error is seen."""
    try:
        model = path.parent / read_card(path, check_files=False).model
    except DataError:
        return path.parent == place.parent
    return place == model or model in place.parents


def require_files(card: ExportCard, folder: Path) -> None:
    """Compare the export's files with sizes and hashes of the card.

    Raises:
        DataError: a file is missing or is another one, or the model's folder has a file that the card does not name.
    """
    for one in card.files:
        path = folder / one.path
        if not path.is_file():
            raise DataError(
                "a file of the export is missing", where=path, hint="export again, or copy the whole folder"
            )
        size = path.stat().st_size
        if size < one.bytes:
            expected, got = f"{one.bytes:,} bytes", f"{size:,}"
            raise DataError("a file of the export is cut short", where=path, expected=expected, got=got)
        if size != one.bytes or file_hash(path) != one.sha256:
            hint = "it was replaced after the card was written: export again, so that the card says what it is"
            got = short(file_hash(path))
            raise DataError("not the file of the card", where=path, expected=short(one.sha256), got=got, hint=hint)
    model = folder / card.model
    named = {one.path for one in card.files}
    inside = [one.relative_to(folder).as_posix() for one in model.rglob("*") if one.is_file()]
    if others := sorted(set(inside) - named):
        raise DataError("the export has a file that its card does not name", where=model, got=", ".join(others[:3]))


def _of_known_version(document: object, path: Path) -> dict[str, object]:
    if not isinstance(document, dict):
        raise DataError("the card is no object", where=path, expected="a JSON object", got=type(document).__name__)
    version = document.get("card_version")
    if version != VERSION:
        hint = "a newer Liftgate wrote it: update" if isinstance(version, int) and version > VERSION else None
        raise DataError("a card of another version", where=path, expected=VERSION, got=repr(version), hint=hint)
    return document


def _require_known_keys(document: object, known: object, path: Path, place: str) -> None:
    """Refuse keys that no field has: a misspelt one would be ignored in silence."""
    if isinstance(document, list) and isinstance(known, list | tuple):
        for index, (given, read) in enumerate(zip(document, known, strict=True)):
            _require_known_keys(given, read, path, f"{place}[{index}]")
    if not isinstance(document, dict) or not isinstance(known, dict):
        return
    for key, value in document.items():
        if key not in known:
            got, hint = f"{place}.{key}".lstrip("."), did_you_mean(key, known)
            raise DataError("the card has an unknown key", where=path, got=got, hint=hint)
        _require_known_keys(value, known[key], path, f"{place}.{key}".lstrip("."))
