"""Load study.yaml as a `Study`, recognise it, or read only its name.

Only `load` imports the parser, and with it pydantic; `liftgate status` does not need them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liftgate.documents import read_limited
from liftgate.errors import StudyError
from liftgate.study.records import Study
from liftgate.study.yaml_source import read
from liftgate.suggestions import nearest

_SECTIONS = frozenset({"datasets", "arms", "gates", "flow"})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Read a study.

    Args:
        path: study.yaml, or its folder; paths inside it are relative to its folder and stay as written.
        overrides: dotted key → value, as `--set` gives them: `{"arms.single.0.recipe.epochs": "3"}`. Strings are read
            as YAML.

    Raises:
        StudyError: the file cannot be read or has mistakes; the message lists all of them.
    """
    from liftgate.study.study_parser import parse  # with pydantic: most of what reading a study costs

    path = study_path(path)
    return parse(_read_text(path), source=path, overrides=overrides)


def study_path(path: Path) -> Path:
    """Return the study.yaml of a folder that has one, so that a verb takes either; else the path itself."""
    inside = path / "study.yaml"
    return inside if inside.is_file() else path


def study_name(path: Path) -> str:
    """Return the name in a study.yaml, which names the folder of its results; other mistakes in the file are ignored.

    Raises:
        StudyError: the file cannot be read, or has no name.
    """
    value = read(_read_text(path), str(path)).value
    name = value.get("study") if isinstance(value, dict) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else load(path).name


def is_study(path: Path) -> bool:
    """Return whether a YAML file is a study, possibly with mistakes, and not a data.yaml."""
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    try:
        text = read_limited(path).decode("utf-8-sig")
    except (OSError, ValueError):
        return False
    value = read(text, path.name).value
    if not isinstance(value, dict):
        return path.name == "study.yaml"
    return "study" in value or len(_SECTIONS & value.keys()) > 1


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise StudyError("no study.yaml in this folder", where=path, hint=_elsewhere(path))
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
            raise StudyError("a study is a file", where=path, got="a device, a pipe or a socket")
        raw = read_limited(path)
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        beside = [other.name for other in path.parent.glob("*.y*ml") if is_study(other)]
        near = nearest(path.name, beside)
        hint = f"did you mean {path.parent / near}?" if near else "`liftgate init DIR` writes one"
        raise StudyError("no such study", where=path, hint=hint) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8"
        raise StudyError(f"not UTF-8: byte {error.start} cannot be read", where=f"{path}:{line}", hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise StudyError(f"cannot be read: {error}", where=path) from None
    return text


def _elsewhere(folder: Path) -> str:
    """Return a hint for a folder without a study.yaml: studies in it, or in its folders."""
    found = [path for pattern in ("*.y*ml", "*/study.yaml") for path in sorted(folder.glob(pattern)) if is_study(path)]
    return f"did you mean {' or '.join(map(str, found[:3]))}?" if found else "`liftgate init DIR` writes one"
