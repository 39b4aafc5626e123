"""Register versions: once each, also where the same is registered again after a kill, or by two processes at once.

The files are written first, then the entry is appended; a kill between the two leaves a folder that is no version.
A process that was killed after its entry has not said so, and whoever started it does it again. So what a version
holds already, to the byte, is answered with that version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from liftgate.deploy.registry.kept_exports import VersionWeights, copy_export
from liftgate.deploy.registry.store import EXPORTS, Registry, export_of, hashes_below, version_damages
from liftgate.deploy.registry.version import ModelVersion, next_version, product_name, safe_name
from liftgate.documents import DocumentError, load_json
from liftgate.errors import LedgerError, UsageError
from liftgate.files import atomic_folder, delete_own_files, write_json
from liftgate.hashing import file_hash
from liftgate.ledger.model_records import VersionEntry


class Draft(NamedTuple):
    """A version under a number and a name."""

    entry: VersionEntry
    """Without the hashes of its files"""
    fill: Callable[[Path], None]
    """Writes them into an empty folder, but for the exports"""


@dataclass(frozen=True, slots=True)
class Registration:
    """What is to be a version."""

    weights_hash: str
    draft: Callable[[str, str], Draft]
    """Of its version (v0.1) and its name (yolov8n_lbzf)"""
    default_name: str
    """Where none is given and the registry has no version yet"""
    version: str | None = None
    """None: the next one"""
    name: str | None = None
    """None: that of the newest version"""
    exports: Mapping[str, Path] = field(default_factory=dict)
    """Name of a folder below `exports/` → file or folder to copy there"""


def register(registry: Registry, wanted: Registration) -> ModelVersion:
    """Write a version's files, then append its entry; or return the version that holds them. Call it under `locked`.

    Raises:
        UsageError: another version has that number.
        DataError: a folder of that name holds files of others, or an export is of other weights.
    """
    versions = registry.versions()
    registry.remove_unfinished()
    for one in reversed(versions):
        if _is_same(registry, one, wanted):
            registry.finish_entry()
            return one
    version = wanted.version or next_version(one.version for one in versions)
    if version in {one.version for one in versions}:
        hint = "a version is never replaced: leave out --version, and the next number is taken"
        raise UsageError("this version is registered already", where=registry.folder, got=version, hint=hint)
    newest = versions[-1].entry.name if versions else safe_name(wanted.default_name)
    entry, fill = wanted.draft(version, newest if wanted.name is None else safe_name(wanted.name))
    home, manifest = registry.folder / version, _manifest(version)
    left = _left_by_a_killed_registration(home, manifest)
    with atomic_folder(home, own_files=left.__contains__) as part:
        files = _write(part, Draft(entry, fill), wanted.exports)
        write_json(part / manifest, files)
        files[manifest] = file_hash(part / manifest)
    try:
        registry.ledger.add(replace(entry, files=files))
    except LedgerError:
        if version not in {one.version for one in registry.versions()}:
            delete_own_files(home, files)
        raise
    return replace(registry.find(version), changed=True)


def _is_same(registry: Registry, version: ModelVersion, wanted: Registration) -> bool:
    """Return whether a version, whole as it was registered, is what would be registered; whoever registered it."""
    if version.weights_hash != wanted.weights_hash or wanted.version not in (None, version.version):
        return False
    if wanted.name is not None and safe_name(wanted.name) != version.entry.name:
        return False
    known = {name: sha for name, sha in version.entry.files.items() if name != _manifest(version.version)}
    if {export_of(name) for name in known} - {""} != {f"{EXPORTS}/{name}" for name in wanted.exports}:
        return False
    draft = wanted.draft(version.version, version.entry.name)
    if replace(draft.entry, who="") != replace(version.entry, files={}, who=""):
        return False
    if any(not one.loose_export for one in version_damages(registry.folder, version)):
        return False
    with tempfile.TemporaryDirectory(dir=registry.folder, prefix=".same.", suffix=".part") as part:
        return _write(Path(part), draft, wanted.exports) == known


def _write(folder: Path, draft: Draft, exports: Mapping[str, Path]) -> dict[str, str]:
    """Write a version's files, exports included, into an empty folder; return their hashes."""
    draft.fill(folder)
    if exports:
        weights = VersionWeights(draft.entry.version, file_hash(folder / draft.entry.weights))
        for name, source in exports.items():
            copy_export(source, folder / EXPORTS / name, weights)
    return hashes_below(folder)


def _manifest(version: str) -> str:
    return product_name("files", version, ".json")


def _left_by_a_killed_registration(home: Path, manifest: str) -> frozenset[str]:
    """Return the files of an unregistered folder if they are exactly what a registration wrote into it; else none."""
    try:
        written = load_json(home / manifest)
        found = hashes_below(home)
    except (OSError, DocumentError):
        return frozenset()
    found.pop(manifest, None)
    return frozenset({manifest, *found}) if found == written else frozenset()
