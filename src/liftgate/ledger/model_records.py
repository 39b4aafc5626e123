"""Entries of a registry of models: versions, exports that were added to them, and which version is in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from liftgate.ledger.records import LedgerRecord
from liftgate.study.records import VerdictWord


@dataclass(frozen=True, slots=True)
class VersionVerdict(LedgerRecord):
    """The verdict that a version was registered with, and where it is recorded."""

    study: str
    study_hash: str
    """`Study.content_hash()` of the run"""
    gate: str
    gate_hash: str
    word: VerdictWord
    sentence: str
    caveats: tuple[str, ...] = ()
    arm: str = ""
    """The arm of these weights"""
    about: str = ""
    """The arm that the gate is about; another one: the verdict says nothing about these weights"""
    seed: int = 0
    ledger: str = ""
    """The study's ledger, relative to the registry's folder"""
    head: str = ""
    """Hash of that ledger's newest entry when the version was registered"""
    complete: bool = True
    """Whether the run that gave it went to its end"""


@dataclass(frozen=True, slots=True)
class VersionEntry(LedgerRecord):
    """A registered version of a model, with the hash of each of its files."""

    KIND: ClassVar[str] = "version"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"verdict", "weights_licence", "data_licence"})

    version: str
    """v0, v0.1, v0.2 …"""
    name: str
    """First part of its files' names: `yolov8n_lbzf`"""
    weights: str
    """The weights file, relative to the version's folder"""
    files: Mapping[str, str]
    """File, relative to the version's folder → SHA-256"""
    verdict: VersionVerdict | None = None
    """None: it was registered without a study"""
    weights_licence: str | None = None
    """None: unknown"""
    data_licence: str | None = None
    """Of all data that it was trained on, the strictest; None: unknown"""
    confidential: bool = False
    """Whether it was trained on confidential data"""
    who: str = ""

    def __str__(self) -> str:
        return f"{self.version} of {self.name}, {len(self.files)} files"


@dataclass(frozen=True, slots=True)
class ModelExportEntry(LedgerRecord):
    """An export that was added to a registered version."""

    KIND: ClassVar[str] = "model_export"

    version: str
    folder: str
    """Relative to the version's folder"""
    files: Mapping[str, str] = field(default_factory=dict)
    """File, relative to the version's folder → SHA-256"""
    who: str = ""


@dataclass(frozen=True, slots=True)
class PromotionEntry(LedgerRecord):
    """A change of the champion. The newest entry of this kind says which version is the champion."""

    KIND: ClassVar[str] = "promotion"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"replaces", "reason", "gate_hash"})

    action: Literal["promote", "rollback"]
    version: str
    """The champion from now on"""
    replaces: str | None = None
    """The champion before; None: there was none"""
    override: bool = False
    """Whether a person promoted it although its verdict does not allow that"""
    reason: str | None = None
    basis: str = ""
    """What allowed it, in words"""
    gate_hash: str | None = None
    """Of the verdict that allowed it"""
    who: str = ""

    def __str__(self) -> str:
        before = f" instead of {self.replaces}" if self.replaces else ""
        return f"{self.action}: {self.version}{before} ({self.basis})"
