"""Compare a file of a registry with its recorded hash before it is used."""

from __future__ import annotations

from pathlib import Path

from liftgate.deploy.registry.kept_exports import require_own_export
from liftgate.deploy.registry.store import EXPORTS, Registry
from liftgate.deploy.registry.version import ModelVersion
from liftgate.errors import DataError
from liftgate.ledger.model_records import VersionEntry

_DEPTH = 5
"""Folders above a file in which a registry is looked for: models/v0/exports/onnx/weights/model.bin"""


def require_registered_content(path: Path) -> ModelVersion | None:
    """Return the version that a model's file or folder belongs to, after comparing that version's files; else None.

    Args:
        path: of a model, anywhere.

    Raises:
        DataError: it lies in a registered version, and is not part of it, or a file of that version is missing, was
            changed or was added, or it is an export of other weights than that version's.
        LedgerError: the registry's ledger was changed.
    """
    place = path.absolute()
    for folder in list(place.parents)[:_DEPTH]:
        registry = Registry(folder)
        if not registry.ledger.path.is_file() or registry.ledger.is_foreign():
            continue
        if not registry.ledger.entries(VersionEntry.KIND):
            return None
        home, *inside = place.relative_to(folder).parts
        if home not in {one.version for one in registry.versions()}:
            return None
        version = registry.open(home)
        name = "/".join(inside)
        if inside and not any(known == name or known.startswith(f"{name}/") for known in version.files):
            hint = f"`liftgate models attach {home} PATH` registers an export"
            raise DataError("this model is not registered, and lies in a registered version", where=place, hint=hint)
        if len(inside) > 1 and inside[0] == EXPORTS:
            require_own_export(version, f"{EXPORTS}/{inside[1]}")
        return version
    return None
