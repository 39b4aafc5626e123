"""Finding: something wrong or suspicious, with a stable id, where, why it matters and a hint."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from liftgate.paths import lexical

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `error` stops a run, so an error-level finding must be right."""

    id: str
    """`family.name`, stable: other programs rely on it"""
    severity: Severity
    where: str
    """file, file:line, dataset, arm and stage: the narrowest place that is true"""
    message: str
    """What is wrong there, with the figures."""
    hint: str
    """What a person can do about it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Details for programs; plain JSON values."""

    def without_folders(self, folders: Iterable[Path]) -> Finding:
        """Return it with paths relative to these folders and to the home folder: a page is read on other machines."""
        short = {f"{folder}/": "" for folder in sorted(folders, reverse=True) if len(folder.parts) > 1}
        short.setdefault(f"{os.path.expanduser('~')}/", "~/")  # noqa: PTH111 (Path.home fails where there is none)
        begins = re.compile("|".join(rf"(?<![\w./~-]){re.escape(prefix)}" for prefix in short))
        where, message, hint = (
            begins.sub(lambda found: short[found[0]], text) for text in (self.where, self.message, self.hint)
        )
        return replace(self, where=where, message=message, hint=hint)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; other programs rely on the names."""
        return {
            "id": self.id,
            "severity": self.severity,
            "where": self.where,
            "message": self.message,
            "hint": self.hint,
            "data": dict(self.data),
        }


def shared_folders(sources: Iterable[Path], study: Path | None = None) -> list[Path]:
    """Return the folders that pages do not name: that of the study, and those in which the folders of data sets lie.

    Args:
        sources: the data set's data.yaml, other file or folder, of each.
        study: folder of the study.
    """
    found = [lexical(source if source.is_dir() else source.parent).parent for source in sources]
    return found if study is None else [*found, lexical(study)]
