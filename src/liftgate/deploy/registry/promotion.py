"""Which version is the champion: promote one, or go back to an earlier one.

The newest `promotion` entry of the registry's ledger names the champion, and nothing else does. Appending it is one
transaction, so at any moment, also after a kill, there is exactly one champion (or none before the first promotion).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liftgate.deploy.registry.evidence import RERUN_HINT, judgement_on
from liftgate.deploy.registry.kept_exports import require_own_export
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.registry.version import ModelVersion, product_name
from liftgate.errors import LedgerError, Refused, UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.model_records import PromotionEntry
from liftgate.ledger.records import Body

NO_STUDY = "it was registered without a study, so no verdict allows it"
_OVERRIDE_HINT = 'or --override --reason "…": the ledger keeps who and why'


@dataclass(frozen=True, slots=True)
class Promotion:
    """What promote or rollback did."""

    champion: str
    replaces: str | None
    """The champion before; None: there was none"""
    changed: bool
    """False: it was the champion already, and nothing was recorded"""
    basis: str
    """What allowed it, in words"""
    override: bool = False
    caveats: tuple[str, ...] = ()
    """What limits the verdict that allowed it"""
    entry: str = ""
    """Hash of its entry in the registry's ledger; empty: nothing was recorded"""


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether the verdict of a version allows its promotion."""

    refusal: str
    """Why not; empty: it does"""
    basis: str
    """The verdict that allows it, and where it was checked"""
    gate_hash: str | None = None
    caveats: tuple[str, ...] = ()


def promote(registry: Registry, name: str, *, override: str | None, who: str) -> Promotion:
    """Make a version the champion if its verdict allows that, or if a person overrides it with a reason.

    Args:
        registry: the registry.
        name: of the version.
        override: why it is promoted although its verdict does not allow that; None: no override.
        who: recorded with it.

    Raises:
        Refused: the verdict does not allow it, and there is no override.
        DataError: a file of it is missing or was changed, or an export of it is of other weights; no override helps.
        LedgerError: the registry's ledger or the study's was changed.
        UsageError: there is no such version, or it is already the champion.
    """
    version = registry.open(name)
    for place in version.exports:
        require_own_export(version, place)
    permission = promotion_permission(registry, version)
    if permission.refusal and override is None:
        hint = f"{_way_out(version)}; {_OVERRIDE_HINT}"
        what = f"{version.version} is not promoted: {permission.refusal}"
        raise Refused(what, where=registry.folder, hint=hint)
    overridden = bool(permission.refusal)
    basis = f"overridden, although {permission.refusal}" if overridden else permission.basis
    before: list[str | None] = []

    def decide(entries: Sequence[Entry]) -> Body | None:
        stack = champions(entry.parse(PromotionEntry) for entry in entries)
        before.append(stack[-1] if stack else None)
        if before[-1] == version.version:
            return None
        return PromotionEntry(
            action="promote",
            version=version.version,
            replaces=before[-1],
            override=overridden,
            reason=override if overridden else None,
            basis=basis,
            gate_hash=None if overridden else permission.gate_hash,
            who=who,
        ).to_body()

    entry = registry.ledger.append_if(PromotionEntry.KIND, decide)
    return Promotion(
        champion=version.version,
        replaces=before[-1],
        changed=entry is not None,
        basis=basis,
        override=overridden,
        caveats=permission.caveats,
        entry="" if entry is None else entry.hash,
    )


def roll_back(registry: Registry, name: str | None, *, reason: str | None, who: str) -> Promotion:
    """Make an earlier champion the champion again; its files are checked first.

    Without a name only a promotion is taken back: what was rolled back already, by a process that was killed before it
    could say so or by a colleague at the same moment, is not rolled back once more.

    Args:
        registry: the registry.
        name: of the earlier champion; None: the one before the present one.
        reason: recorded with it.
        who: recorded with it.

    Raises:
        UsageError: there is no champion to go back to, or the version was none before the present one.
        DataError: a file of that version is missing or was changed.
    """
    registry.require_exists()
    while True:
        seen = registry.ledger.records(PromotionEntry)
        stack = champions(seen)
        if stack and (name == stack[-1] or (name is None and seen[-1].action == "rollback")):
            registry.finish_entry()
            return Promotion(stack[-1], seen[-1].replaces, False, seen[-1].basis)
        wanted = _earlier(registry, stack, name)
        registry.open(wanted)
        basis = f"the champion before {stack[-1]}" if wanted == stack[-2] else f"a champion before {stack[-1]}"
        body = PromotionEntry("rollback", wanted, stack[-1], reason=reason, basis=basis, who=who).to_body()

        def decide(entries: Sequence[Entry], known: int = len(seen), body: Body = body) -> Body | None:
            return body if len(entries) == known else None  # another process changed the champion: look again

        entry = registry.ledger.append_if(PromotionEntry.KIND, decide)
        if entry is not None:
            return Promotion(wanted, stack[-1], True, basis, entry=entry.hash)


def champions(promotions: Iterable[PromotionEntry]) -> list[str]:
    """Return the champions that a rollback may go back to, oldest first; the last is the champion.

    >>> promoted = [PromotionEntry("promote", name) for name in ("v0", "v0.1", "v0.2")]
    >>> champions([*promoted, PromotionEntry("rollback", "v0"), PromotionEntry("promote", "v0.3")])
    ['v0', 'v0.3']
    """
    stack: list[str] = []
    for one in promotions:
        if one.action == "rollback":
            del stack[-1:]
            while stack and stack[-1] != one.version:
                stack.pop()
            stack = stack or [one.version]
        else:
            stack.append(one.version)
    return stack


def promotion_permission(registry: Registry, version: ModelVersion) -> Permission:
    """Return whether the verdict of a version allows its promotion, from the ledgers where it is recorded.

    The copy of the study's ledger that was registered with the version is verified and read again. Where the study's
    own ledger is still in its place, it must continue that copy, and its newest answer about these weights counts.

    Raises:
        LedgerError: the copy was changed.
    """
    recorded = version.entry.verdict
    if recorded is None:
        return Permission(NO_STUDY, "")
    copy = Ledger(version.folder / product_name("ledger", version.version, ".sqlite"))
    copy.verify(recorded.head)
    judgement, basis = judgement_on(copy, version.weights_hash, registry.folder), "the copy of the study's ledger"
    live = Ledger(registry.folder / recorded.ledger)
    if live.path.is_file():
        try:
            live.verify(recorded.head)
        except LedgerError as error:
            what = "the study's ledger is no longer the one that it was registered from"
            return Permission(f"{what}: {error.what}", "")
        judgement, basis = judgement_on(live, version.weights_hash, registry.folder), "the study's ledger"
    if judgement is None:
        return Permission("no run of its study has an answer about these weights", "")
    verdict = judgement.verdict
    text = f"{verdict.word} of {verdict.gate} in {verdict.study}, checked in {basis}"
    return Permission(judgement.refusal, text, verdict.gate_hash, verdict.caveats)


def _earlier(registry: Registry, stack: Sequence[str], name: str | None) -> str:
    """Return the champion to go back to.

    Raises:
        UsageError: there is none, or the version was never the champion.
    """
    hint = "`liftgate models promote VERSION` makes any other version the champion"
    if len(stack) < 2:
        got = f"{stack[-1]} is the only champion so far" if stack else "no version was promoted yet"
        raise UsageError("there is no champion to go back to", where=registry.folder, got=got, hint=hint)
    if name is None or name in stack[:-1]:
        return name or stack[-2]
    expected = ", ".join(dict.fromkeys(reversed(stack[:-1])))
    what = "this version was no champion before the present one"
    raise UsageError(what, where=registry.folder, expected=expected, got=name, hint=hint)


def _way_out(version: ModelVersion) -> str:
    if version.entry.verdict is None:
        return "register it from a study whose answer is PASS"
    return RERUN_HINT if version.entry.verdict.word == "PASS" else "register a version whose verdict is PASS"
