"""Step: one piece of work whose result depends on named inputs and nothing else.

A step's key is the hash of its kind, its inputs and the keys of the steps that it needs, so it is known before any work
is done: `plan` can say what is cached, and a change far upstream changes every key below it. The ledger is the cache:
a finished step is an entry, and the newest entry with the same key is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liftgate.data.core.fingerprint import file_hashes
from liftgate.hashing import content_hash, short
from liftgate.ledger import Ledger

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work; `work` gets the results of `needs` in their order and returns plain JSON values."""

    name: str
    """Unique in its study: `train two_stage, stage 1, seed 0`"""
    kind: str
    """check, train, predict, evaluate or gate"""
    inputs: Mapping[str, Any]
    """What the result depends on, by the name that an explanation uses; plain JSON values."""
    work: Callable[[tuple[Result, ...]], Result] = field(compare=False)
    needs: tuple[Step, ...] = ()
    files: Callable[[Result], Mapping[Path, str | None]] = field(default=lambda result: {}, compare=False)
    """Files that the result names and their SHA-256 (None: whoever reads it checks); when one is gone or is
    not what was left, the step runs again."""
    arm: str | None = field(default=None, compare=False)
    """The arm that it trains"""

    @property
    def key(self) -> str:
        return content_hash([self.kind, self.inputs, [need.key for need in self.needs]])


class Cache:
    """Finished steps, as the ledger has them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_key: dict[str, Mapping[str, Any]] = {}
        self._by_name: dict[str, Mapping[str, Any]] = {}
        for entry in ledger.entries("step"):
            self._remember(entry.body)

    def find(self, step: Step) -> Result | None:
        """Return the stored result, or None when the step has to run."""
        body = self._by_key.get(step.key)
        if body is None or self._stale(step, body):
            return None
        result: Result = body["result"]
        return result

    def store(self, step: Step, result: Result, seconds: float) -> Result:
        """Append a finished step to the ledger and return its result as the ledger has it (lists, no tuples)."""
        body = {
            "name": step.name,
            "kind": step.kind,
            "key": step.key,
            "inputs": step.inputs,
            "needs": {need.name: need.key for need in step.needs},
            "made_from": {need.name: self._content(need) for need in step.needs if self._content(need)},
            "seconds": round(seconds, 3),
            "result": result,
        }
        stored = self._ledger.append("step", body).body
        self._remember(stored)
        kept: Result = stored["result"]
        return kept

    def seconds(self, step: Step) -> float | None:
        """Return how long the step took when it last ran under any key; None: never."""
        body = self._by_name.get(step.name)
        return None if body is None else float(body["seconds"])

    def why(self, step: Step) -> str:
        """Say in a few words why the step is cached or has to run."""
        same = self._by_key.get(step.key)
        if same is not None:
            return self._stale(step, same) or f"nothing changed since ({short(step.key)})"
        before = self._by_name.get(step.name)
        if before is None:
            return "never ran"
        names = [*step.inputs, *(name for name in before["inputs"] if name not in step.inputs)]
        changed = [_change(name, before["inputs"].get(name), step.inputs.get(name)) for name in names]
        changed += [f"{need.name} changed" for need in step.needs if before["needs"].get(need.name) != need.key]
        return "; ".join(dict.fromkeys(text for text in changed if text)) or "its parts changed"

    def _remember(self, body: Mapping[str, Any]) -> None:
        self._by_key[body["key"]] = body
        self._by_name[body["name"]] = body

    def _stale(self, step: Step, body: Mapping[str, Any]) -> str:
        """Say why a stored result can no longer be used; empty: it can."""
        if spoiled := spoilt(step, body["result"]):
            return spoiled
        for name, content in body.get("made_from", {}).items():
            need = next((need for need in step.needs if need.name == name), None)
            if need is not None and self._content(need) not in (content, ""):
                return f"{name} was made anew and is not the same"  # its weights were lost; on a GPU others came back
        return ""

    def _content(self, step: Step) -> str:
        """SHA-256 of what a finished step left, where its result says one."""
        body = self._by_key.get(step.key)
        return "" if body is None else str(body["result"].get("sha256", ""))


def spoilt(step: Step, result: Result) -> str:
    """Say which file of a result is gone or damaged; empty: none."""
    files = step.files(result)
    known = [path for path, wanted in files.items() if wanted is not None]
    hashes = dict(zip(known, file_hashes(known), strict=True)) if known else {}
    for path, wanted in files.items():
        if not path.is_file():
            return f"{path.name} is gone"
        if wanted is not None and hashes[path] != wanted:
            return f"{path.name} is damaged: it is not what the ledger knows"
    return ""


def _change(name: str, before: Any, now: Any) -> str:
    if before == now:
        return ""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        parts = [_change(f"{name}.{key}", before.get(key), now.get(key)) for key in sorted({*before, *now})]
        return "; ".join(part for part in parts if part)
    if any(isinstance(value, str) and len(value) == 64 for value in (before, now)):
        return f"{name} changed"
    return f"{name}: {before} → {now}"
