"""Registry: a folder of model versions, and the ledger that says what is registered.

Only the ledger counts. A version exists from the moment at which its entry is appended, after its files are in place;
a folder without an entry is no version. docs/decisions/0020-one-ledger-entry-names-the-champion.md says why.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate.deploy.registry.kept_exports import VersionWeights, copy_export, exports_of_others
from liftgate.deploy.registry.version import ModelVersion, parse_version
from liftgate.errors import DataError, LedgerError, UsageError
from liftgate.files import delete_own_files, fsync_folder, names_below
from liftgate.hashing import file_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.model_records import ModelExportEntry, PromotionEntry, VersionEntry
from liftgate.ledger.records import StudyEntry
from liftgate.locks import waiting_lock
from liftgate.suggestions import did_you_mean, suggestion

EXPORTS = "exports"
"""Folder of exports below that of a version"""
SIGNATURES = "signatures"
"""Folder of signatures, beside those of versions"""
CHAMPION = "champion"
"""Name for the version in use, whichever it is"""
# The last is what a process leaves that is killed while it writes the head file; the next append writes it again.
_OWN = re.compile(
    r"ledger\.sqlite(\.head|\.lock|-journal)?|registry\.lock|signatures|\.ledger\.sqlite\.head\.\w+\.part"
)
_UNFINISHED = re.compile(r"\.v[\d.]+\.\d+(\.old)?\.part|\.(export|same)\.\w+\.part")


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing in a registry's folder that is not as it was recorded."""

    version: str
    """Empty: none in particular"""
    file: str
    """Relative to the registry's folder"""
    problem: str
    loose_export: bool = False
    """Whether it is a file of an export that is not registered"""

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


@dataclass(frozen=True, slots=True)
class RegistryCheck:
    """What `verify` found."""

    versions: int
    files: int
    champion: str | None
    head: str
    """Hash of the ledger's newest entry"""
    damages: tuple[Damage, ...]

    @property
    def ok(self) -> bool:
        """Whether everything is as it was recorded."""
        return not self.damages


class Registry:
    """A folder of model versions with a ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.ledger = Ledger(self.folder / "ledger.sqlite")

    def require_exists(self) -> None:
        """Raise an error if there is no registry in the folder.

        Raises:
            UsageError: no registry, or the folder of a study's results.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError("a registry is a folder", where=self.folder)
        if not self.ledger.path.exists() and not self.ledger.head_path.exists():
            hint = "`liftgate models add STUDY` registers the first version; --registry FOLDER names another folder"
            others = [path.parent.name for path in self.folder.parent.glob("*/ledger.sqlite")]
            near = None if self.folder.exists() else did_you_mean(self.folder.name, others)
            raise UsageError("there is no registry of models yet", where=self.folder, hint=near or hint)
        self._require_not_of_a_study()

    def _require_not_of_a_study(self) -> None:
        if self.ledger.path.exists() and (self.ledger.is_foreign() or self.ledger.entries(StudyEntry.KIND)):
            hint = "--registry names the folder of the registry, such as `models`"
            raise UsageError("this folder holds something else than a registry", where=self.folder, hint=hint)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock under which files are added; one process at a time, others wait."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError("a registry is a folder", where=self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._require_not_of_a_study()
        with waiting_lock(self.folder / "registry.lock"):
            yield

    def versions(self) -> tuple[ModelVersion, ...]:
        """Return all versions in order of their numbers; their files are not opened.

        Raises:
            LedgerError: the ledger was changed.
        """
        exports = self.ledger.records(ModelExportEntry)
        champion = self.champion_name()
        found = [
            _model_version(self.folder, entry.parse(VersionEntry), entry.time, exports, champion)
            for entry in self.ledger.entries(VersionEntry.KIND)
        ]
        return tuple(sorted(found, key=lambda one: parse_version(one.version)))

    def champion_name(self) -> str | None:
        """Return the version in use; None: none was promoted yet."""
        promotions = self.ledger.records(PromotionEntry)
        return promotions[-1].version if promotions else None

    def find(self, name: str) -> ModelVersion:
        """Return a version by its name, or the champion by `champion`; its files are not opened.

        Raises:
            UsageError: there is no such version.
        """
        self.require_exists()
        versions = self.versions()
        known = [one.version for one in versions]
        if name == CHAMPION:
            found = next((one for one in versions if one.is_champion), None)
            if found is None:
                hint = "`liftgate models promote VERSION` makes one the champion"
                raise UsageError("no version is the champion yet", where=self.folder, got=", ".join(known), hint=hint)
            return found
        found = next((one for one in versions if one.version == name), None)
        if found is None:
            hint = suggestion(name, known)
            expected = ", ".join(known) or "no version yet"
            raise UsageError("no such version", where=self.folder, expected=expected, got=name, hint=hint)
        return found

    def open(self, name: str) -> ModelVersion:
        """Return a version whose files were all compared with their recorded hashes.

        An export that is not registered, such as one whose `attach` was killed, is no part of the version: `verify`
        names it, and nothing loads it.

        Raises:
            UsageError: there is no such version.
            DataError: one of its files is missing, was changed or was added.
        """
        version = self.find(name)
        if damages := [one for one in version_damages(self.folder, version) if not one.loose_export]:
            more = f" (and {len(damages) - 1} more)" if len(damages) > 1 else ""
            raise DataError(
                f"{version.version} is not as it was registered: {damages[0].problem}{more}",
                where=self.folder / damages[0].file,
                hint="restore it from a copy; `liftgate models verify` lists all",
            )
        return version

    def add_export(self, version: ModelVersion, name: str, source: Path, who: str) -> ModelVersion:
        """Copy an export below a registered version and record it; once, also if called again. Call it under `locked`.

        Raises:
            UsageError: the version has another export of that name.
            DataError: it is of other weights, or its card was edited or is of other files.
        """
        place = f"{EXPORTS}/{name}"
        self.remove_unfinished()
        home = version.folder / place
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".export.", suffix=".part") as part:
            copy_export(source, Path(part) / name, VersionWeights(version.version, version.weights_hash))
            found = hashes_below(Path(part) / name)
            if place in version.exports:
                if hashes_below(home) == found:
                    self.finish_entry()
                    return version
                hint = "--as NAME gives it another name; a registered export is never replaced"
                what = f"{version.version} has another export of this name"
                raise UsageError(what, where=self.folder, got=name, hint=hint)
            if home.exists() and hashes_below(home) != found:
                hint = "move it away, or --as NAME"
                raise DataError("a folder that is not registered is in the way", where=home, hint=hint)
            if not home.exists():  # else left by the same command, killed before its entry
                home.parent.mkdir(exist_ok=True)
                (Path(part) / name).rename(home)
                fsync_folder(home.parent)
        files = {f"{place}/{file}": content for file, content in found.items()}
        try:
            self.ledger.add(ModelExportEntry(version.version, place, files, who))
        except LedgerError:
            delete_own_files(home, found)
            raise
        return replace(self.find(version.version), changed=True)

    def verify(self) -> RegistryCheck:
        """Check the ledger's chain again and compare every file of every version with its recorded hash.

        Raises:
            LedgerError: the chain is broken.
            UsageError: there is no registry.
        """
        self.require_exists()
        self.ledger.verify()
        versions = self.versions()
        damages: list[Damage] = []
        for one in versions:
            own = list(version_damages(self.folder, one))
            damages += own or [
                Damage(one.version, f"{one.version}/{place}", f"{error.what}: {error.got}")
                for place, error in exports_of_others(one)
            ]
        damages += _strangers(self.folder, {one.version for one in versions})
        known = {one.version for one in versions}
        damages += [
            Damage(one.version, self.ledger.path.name, f"a promotion names {one.version}, which is not registered")
            for one in self.ledger.records(PromotionEntry)
            if one.version not in known
        ]
        files = sum(len(one.files) for one in versions)
        return RegistryCheck(len(versions), files, self.champion_name(), self.ledger.head, tuple(damages))

    def finish_entry(self) -> None:
        """Write the ledger's head, as the next entry would, where the newest one's process was killed before it did."""
        self.ledger.append_if(VersionEntry.KIND, lambda _: None)

    def remove_unfinished(self) -> None:
        """Remove folders of registrations that were killed: the lock is ours, so that none of them is at work."""
        for path in self.folder.iterdir():
            if _UNFINISHED.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)


def version_damages(registry: Path, version: ModelVersion) -> Iterator[Damage]:
    """Yield what is not as it was registered in the folder of a version."""
    home = version.version
    if not version.folder.is_dir() or version.folder.is_symlink():
        yield Damage(home, home, "the folder is gone" if not version.folder.exists() else "no folder of its own")
        return
    for name, expected in sorted(version.files.items()):
        path = version.folder / name
        if path.is_symlink() or not path.is_file():
            yield Damage(home, f"{home}/{name}", "the file is gone")
        elif (found := file_hash(path)) != expected:
            problem = f"it was changed: SHA-256 {short(found)} instead of {short(expected)}"
            yield Damage(home, f"{home}/{name}", problem)
    others = sorted(set(names_below(version.folder)) - version.files.keys())
    for name in others:
        loose = export_of(name) not in ("", *version.exports)
        yield Damage(home, f"{home}/{name}", "it was not registered: it was put there by hand", loose)


def hashes_below(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there."""
    return {name: file_hash(folder / name) for name in names_below(folder)}


def _model_version(
    folder: Path, entry: VersionEntry, time: str, exports: list[ModelExportEntry], champion: str | None
) -> ModelVersion:
    own = [one for one in exports if one.version == entry.version]
    files = dict(entry.files)
    for one in own:
        files |= one.files
    exports_of = sorted({export_of(name) for name in files} - {""})
    return ModelVersion(
        entry=entry,
        folder=folder / entry.version,
        registered=time,
        files=files,
        exports=tuple(exports_of),
        is_champion=entry.version == champion,
    )


def export_of(name: str) -> str:
    """Return `exports/NAME` of a file below it, and "" of any other."""
    return "/".join(name.split("/")[:2]) if name.startswith(f"{EXPORTS}/") else ""


def _strangers(folder: Path, known: set[str]) -> Iterator[Damage]:
    for path in sorted(folder.iterdir()):
        if path.name in known or _OWN.fullmatch(path.name):
            continue
        if _UNFINISHED.fullmatch(path.name):
            problem = "left by a registration that did not finish; the next one removes it"
        else:
            problem = "it was not registered"
        yield Damage("", path.name, problem)
