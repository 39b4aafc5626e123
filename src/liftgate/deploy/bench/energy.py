"""The processor's own energy meter (RAPL), where this user may read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_METERS = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class EnergyMeter:
    """Energy counters of all processor packages; none: not readable."""

    counters: tuple[tuple[Path, int], ...]
    """File of microjoules, and the value after which it begins at 0 again"""
    why_not: str = ""

    @classmethod
    def find(cls, meters: Path = _METERS) -> EnergyMeter:
        """Return the machine's meter, with the reason where there is none."""
        packages = sorted(meters.glob("intel-rapl:[0-9]*"))
        packages = [one for one in packages if one.name.count(":") == 1 and not _is_platform(one)]
        if not packages:
            return cls((), "this machine shows no energy meter (RAPL)")
        try:
            found = [(one / "energy_uj", int((one / "max_energy_range_uj").read_text())) for one in packages]
            for path, _ in found:
                int(path.read_text())
        except (OSError, ValueError):
            return cls((), f"{packages[0] / 'energy_uj'} may not be read by this user")
        return cls(tuple(found))

    @property
    def description(self) -> str:
        """How energy is measured, or why it is not."""
        if not self.counters:
            return f"not measured: {self.why_not}"
        return "RAPL of the whole processor, other programs included"

    def read(self) -> tuple[int, ...]:
        """Return the counters now; empty: not readable."""
        try:
            return tuple(int(path.read_text()) for path, _ in self.counters)
        except (OSError, ValueError):
            return ()

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float | None:
        """Return the energy between two readings; None: unknown."""
        if not before or len(before) != len(after):
            return None
        spent = [
            (end - start) % (limit + 1) for start, end, (_, limit) in zip(before, after, self.counters, strict=True)
        ]
        return sum(spent) / 1e6


def _is_platform(meter: Path) -> bool:
    """Return whether a meter is of the whole platform (psys), which has the packages in it."""
    try:
        return (meter / "name").read_text().startswith("psys")
    except OSError:
        return False
