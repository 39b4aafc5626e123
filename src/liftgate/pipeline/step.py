"""Step: a unit of work whose result depends only on its inputs, and the cache of results in the ledger.

A step's key is the hash of its kind, its inputs and the keys of the steps that it needs, so it is known before any
work: `plan` can say what is cached, and a change of an input changes the keys of all dependent steps. The ledger is the
cache: a finished step is an entry, and the newest entry with the same key is its result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

from liftgate.data.core.fingerprint import file_hashes
from liftgate.hashing import content_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import Body, LedgerRecord, StepEntry

R = TypeVar("R", bound=LedgerRecord)


class Step(ABC, Generic[R]):
    """A unit of work. Each kind of step is a class that defines its inputs and how its result is computed."""

    KIND: ClassVar[str]
    """check, probe, train, predict, evaluate, export or gate"""
    RESULT: ClassVar[type[LedgerRecord]]
    """Class of the result"""

    def __init__(self, name: str, inputs: Body, needs: tuple[Step[Any], ...] = (), *, arm: str | None = None) -> None:
        self.name = name
        """Unique in its study: `train two_stage stage 1 seed 0`"""
        self.inputs = inputs
        """What the result depends on, by name, as plain JSON values"""
        self.needs = needs
        """Steps whose results it uses"""
        self.arm = arm
        """The arm that it trains; None: no training"""

    @abstractmethod
    def work(self, results: Results) -> R:
        """Do the work and return its result; `results` has those of `needs`."""

    def files(self, result: R) -> Mapping[Path, str | None]:
        """Return the files that a result names, with their SHA-256.

        None instead of a hash: the file is checked when it is read. If a file is missing or was changed, the step runs
        again.
        """
        return {}

    @cached_property
    def key(self) -> str:
        """Hash of everything that the result depends on."""
        return content_hash([self.KIND, self.inputs, [need.key for need in self.needs]])

    def read(self, body: Body) -> R:
        """Return the typed result that a ledger entry holds."""
        return cast("R", self.RESULT.from_body(body))


class Results:
    """Results of finished steps."""

    def __init__(self) -> None:
        self._by_key: dict[str, LedgerRecord] = {}

    def add(self, step: Step[R], result: R) -> None:
        """Remember the result of a step."""
        self._by_key[step.key] = result

    def find(self, step: Step[R]) -> R | None:
        """Return the result of a step; None: it is not finished."""
        return cast("R | None", self._by_key.get(step.key))

    def of(self, step: Step[R]) -> R:
        """Return the result of a finished step.

        Raises:
            KeyError: it is not finished.
        """
        return cast("R", self._by_key[step.key])

    @property
    def keys(self) -> list[str]:
        """Keys of all finished steps, sorted."""
        return sorted(self._by_key)


class Cache:
    """Finished steps that the ledger holds."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_key: dict[str, StepEntry] = {}
        self._by_name: dict[str, StepEntry] = {}
        for entry in ledger.records(StepEntry):
            self._remember(entry)

    def find(self, step: Step[R]) -> R | None:
        """Return the stored result, or None when the step has to run."""
        entry = self._by_key.get(step.key)
        if entry is None or self._stale(step, entry):
            return None
        return step.read(entry.result)

    def store(self, step: Step[R], result: R, seconds: float) -> R:
        """Append a finished step to the ledger and return its result as the ledger has it."""
        written = StepEntry(
            name=step.name,
            kind=step.KIND,
            key=step.key,
            inputs=step.inputs,
            needs={need.name: need.key for need in step.needs},
            made_from={need.name: self._output_hash(need) for need in step.needs if self._output_hash(need)},
            seconds=round(seconds, 3),
            result=result.to_body(),
        )
        stored = self._ledger.add(written).parse(StepEntry)
        self._remember(stored)
        return step.read(stored.result)

    def seconds(self, step: Step[Any]) -> float | None:
        """Return how long the step took when it last ran, with any key; None: it never ran."""
        entry = self._by_name.get(step.name)
        return None if entry is None else entry.seconds

    def why(self, step: Step[Any]) -> str:
        """Return in a few words why the step is cached or has to run."""
        same = self._by_key.get(step.key)
        if same is not None:
            return self._stale(step, same) or f"nothing changed since ({short(step.key)})"
        before = self._by_name.get(step.name)
        if before is None:
            return "never ran"
        names = [*step.inputs, *(name for name in before.inputs if name not in step.inputs)]
        changed = [_describe_change(name, before.inputs.get(name), step.inputs.get(name)) for name in names]
        changed += [f"{need.name} changed" for need in step.needs if before.needs.get(need.name) != need.key]
        return "; ".join(dict.fromkeys(text for text in changed if text)) or "its parts changed"

    def _remember(self, entry: StepEntry) -> None:
        self._by_key[entry.key] = entry
        self._by_name[entry.name] = entry

    def _stale(self, step: Step[Any], entry: StepEntry) -> str:
        """Return why a stored result can no longer be used; empty: it can."""
        if reason := damage(step, step.read(entry.result)):
            return reason
        for name, content in entry.made_from.items():
            need = next((need for need in step.needs if need.name == name), None)
            if need is not None and self._output_hash(need) not in (content, ""):
                # For example lost weights that were trained again, which on a GPU does not give the same.
                return f"{name} was made again and differs"
        return ""

    def _output_hash(self, step: Step[Any]) -> str:
        entry = self._by_key.get(step.key)
        return "" if entry is None else entry.output_hash


def damage(step: Step[R], result: R) -> str:
    """Return which file of a result is missing or damaged, in words; empty: none."""
    files = step.files(result)
    known = [path for path, expected in files.items() if expected is not None]
    hashes = dict(zip(known, file_hashes(known), strict=True)) if known else {}
    for path, expected in files.items():
        if not path.is_file():
            return f"{path.name} is gone"
        if expected is not None and hashes[path] != expected:
            return f"{path.name} is damaged: its hash is not the one in the ledger"
    return ""


def _describe_change(name: str, before: object, now: object) -> str:
    if before == now:
        return ""
    if name == "statistics":
        return f"intervals and verdict rules are of version {now} now, not of {before or 1}"
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        parts = [_describe_change(f"{name}.{key}", before.get(key), now.get(key)) for key in sorted({*before, *now})]
        return "; ".join(part for part in parts if part)
    if any(isinstance(value, str) and len(value) == 64 for value in (before, now)):
        return f"{name} changed"
    return f"{name}: {before} → {now}"
