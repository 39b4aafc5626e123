"""The energy meter: packages alone, counters that begin again, and a meter that may not be read."""

from __future__ import annotations

from pathlib import Path

from liftgate.deploy.bench.energy import EnergyMeter


def write_meter(folder: Path, name: str, value: int, limit: int = 1_000_000_000) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "max_energy_range_uj").write_text(f"{limit}\n")
    (folder / name / "energy_uj").write_text(f"{value}\n")
    return folder / name / "energy_uj"


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    first, second = (write_meter(tmp_path, f"intel-rapl:{number}", 1_000_000) for number in range(2))
    write_meter(tmp_path, "intel-rapl:0:0", 5_000_000)
    for number, name in enumerate(("package-0", "package-1", "psys")):
        platform = write_meter(tmp_path, f"intel-rapl:{number}", 1_000_000)
        (platform.parent / "name").write_text(f"{name}\n")
    meter = EnergyMeter.find(tmp_path)
    before = meter.read()
    first.write_text("4000000")
    second.write_text("1500000")
    platform.write_text("9000000")
    assert meter.joules(before, meter.read()) == 3.5


def test_a_counter_that_began_again_is_understood(tmp_path: Path) -> None:
    path = write_meter(tmp_path, "intel-rapl:0", 9_999_999, limit=9_999_999)
    meter = EnergyMeter.find(tmp_path)
    before = meter.read()
    path.write_text("999999")
    assert meter.joules(before, meter.read()) == 1.0


def test_what_cannot_be_read_is_unknown_and_not_zero(tmp_path: Path) -> None:
    none = EnergyMeter.find(tmp_path)
    assert none.read() == () and none.joules((), ()) is None and "no energy meter" in none.description
    write_meter(tmp_path, "intel-rapl:0", 1).write_text("not a number")
    assert "may not be read" in EnergyMeter.find(tmp_path).description
