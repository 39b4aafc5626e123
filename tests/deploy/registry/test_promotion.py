"""Promotion: only with a verdict that allows it; one champion at any moment; the way back."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import liftgate
from deploy.registry.conftest import STUDY, run_study
from liftgate.cli import main
from liftgate.errors import DataError, LedgerError, Refused, UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.model_records import PromotionEntry

ROOT = Path(__file__).resolve().parents[3]


def champions_of(registry: Path) -> list[str]:
    return [one.version for one in liftgate.list_models(registry=registry) if one.is_champion]


def promotions(registry: Path) -> list[PromotionEntry]:
    return Ledger(registry / "ledger.sqlite").records(PromotionEntry)


def test_a_pass_promotes_and_the_ledger_names_gate_and_predecessor(registered: Callable[[int], Path]) -> None:
    registry = registered(2)
    assert champions_of(registry) == []
    first = liftgate.promote("v0", registry=registry)
    done = liftgate.promote("v0.1", registry=registry)
    assert (first.replaces, done.replaces, done.changed, done.override) == (None, "v0", True, False)
    assert "PASS of lift in colours, checked in the study's ledger" in done.basis
    assert any("confounded" in one for one in done.caveats), "what limits the verdict is said again"
    verdict = json.loads((registry / "v0.1" / "verdict_v0.1.json").read_text())
    assert promotions(registry)[-1].gate_hash == verdict["gate_hash"]
    assert champions_of(registry) == ["v0.1"]
    assert not liftgate.promote("v0.1", registry=registry).changed and len(promotions(registry)) == 2


def test_the_copy_of_the_ledger_is_enough_where_the_study_is_gone(
    registered: Callable[[int], Path], study: Path
) -> None:
    registry = registered(1)
    shutil.rmtree(study.parent)
    assert "checked in the copy of the study's ledger" in liftgate.promote("v0", registry=registry).basis


@pytest.mark.parametrize("margin", [0.9, 0.4])
def test_a_fail_or_a_marginal_is_refused(study: Path, registry: Path, margin: float) -> None:
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": margin}
    run_study(study.parent, gates={"lift": gate})
    word = "FAIL" if margin == 0.9 else "MARGINAL"
    assert liftgate.add_model(study, registry=registry).entry.verdict is not None
    with pytest.raises(Refused, match=f"the study's answer is {word}"):
        liftgate.promote("v0", registry=registry)
    assert champions_of(registry) == []


def test_the_control_is_not_promoted_by_the_verdict_on_the_treatment(study: Path, registry: Path) -> None:
    version = liftgate.add_model(study, registry=registry, arm="short")
    assert "not about these weights" in version.product("model_card", ".md").read_text()
    with pytest.raises(Refused, match="the study's answer is about long, and these weights are of short"):
        liftgate.promote("v0", registry=registry)


def test_an_arm_that_is_good_enough_as_it_is_can_be_promoted(study: Path, registry: Path, tmp_path: Path) -> None:
    (weights,) = (study.parent / "runs/colours").glob("*_long-seed-0/results/weights/best.pt")
    shutil.copyfile(weights, study.parent / "yolov8n.pt")
    claims = {"arm": "as_is", "on": "scenes.val", "claims": [{"metric": "recall", "at_least": 0.05}]}
    run_study(
        study.parent,
        study="needed",
        arms={"as_is": {"weights": "yolov8n.pt"}},
        gates={"good_enough": claims},
        flow=["baseline", "good_enough"],
    )
    version = liftgate.add_model(study, registry=registry)
    assert version.weights.name == "yolov8n_needed_v0.pt"
    assert liftgate.promote("v0", registry=registry).champion == "v0"


def test_a_newer_answer_about_the_same_weights_counts(registered: Callable[[int], Path], study: Path) -> None:
    registry = registered(1)
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.9}
    run_study(study.parent, gates={"lift": gate})
    with pytest.raises(Refused, match="the study's answer is FAIL"):
        liftgate.promote("v0", registry=registry)


def test_a_gate_that_was_changed_after_its_verdict_does_not_promote(study: Path, registry: Path) -> None:
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.04}
    run_study(study.parent, gates={"lift": gate})
    verdict = liftgate.add_model(study, registry=registry).entry.verdict
    assert verdict is not None and verdict.word == "PASS"
    with pytest.raises(Refused, match="the gate lift was changed after its verdict was known"):
        liftgate.promote("v0", registry=registry)


def test_a_contaminated_pass_does_not_promote(study: Path, registry: Path) -> None:
    changed = yaml.safe_load(study.read_text()) | {"study": "again"}
    study.write_text(yaml.safe_dump(changed, sort_keys=False))
    liftgate.run(study, open_anyway="a second look")
    verdict = liftgate.add_model(study, registry=registry).entry.verdict
    assert verdict is not None and verdict.word == "PASS"
    with pytest.raises(Refused, match="contaminated"):
        liftgate.promote("v0", registry=registry)


def test_an_override_needs_a_reason_and_is_recorded(tmp_path: Path, registry: Path) -> None:
    (tmp_path / "old.onnx").write_bytes(b"a")
    liftgate.add_model(tmp_path / "old.onnx", registry=registry)
    with pytest.raises(Refused, match="registered without a study"):
        liftgate.promote("v0", registry=registry)
    with pytest.raises(UsageError, match="needs a reason"):
        liftgate.promote("v0", registry=registry, override=" ")
    assert main(["models", "promote", "v0", "--override", "--registry", str(registry)]) == 2
    assert main(["models", "promote", "v0", "--reason", "x", "--registry", str(registry)]) == 2
    assert promotions(registry) == []
    done = liftgate.promote("v0", registry=registry, override="what runs today")
    (entry,) = promotions(registry)
    assert done.override and entry.override and entry.reason == "what runs today" and entry.who


def test_an_override_that_is_not_needed_is_not_recorded_as_one(registered: Callable[[int], Path]) -> None:
    registry = registered(1)
    assert not liftgate.promote("v0", registry=registry, override="to be sure").override
    assert promotions(registry)[0].reason is None


def test_rollback_goes_back_before_the_last_promotion_and_further_by_name(registered: Callable[[int], Path]) -> None:
    registry = registered(3)
    with pytest.raises(UsageError, match="no champion to go back to"):
        liftgate.rollback(registry=registry)
    for version in ("v0", "v0.1", "v0.2"):
        liftgate.promote(version, registry=registry)
    assert liftgate.rollback(registry=registry, reason="false alarms at night").champion == "v0.1"
    assert liftgate.rollback("v0", registry=registry).champion == "v0"
    with pytest.raises(UsageError, match="v0 is the only champion so far"):
        liftgate.rollback("v0.1", registry=registry)
    assert champions_of(registry) == ["v0"] and promotions(registry)[3].reason == "false alarms at night"
    liftgate.promote("v0.2", registry=registry)
    with pytest.raises(UsageError, match="no champion before the present one") as refused:
        liftgate.rollback("v0.1", registry=registry)
    assert refused.value.expected == "v0"
    assert liftgate.rollback(registry=registry).champion == "v0", "what was taken back is no way back"


def test_rollback_goes_back_over_several_champions_at_once(registered: Callable[[int], Path]) -> None:
    registry = registered(3)
    for version in ("v0", "v0.1", "v0", "v0.2"):
        liftgate.promote(version, registry=registry)
    assert liftgate.rollback("v0.1", registry=registry).replaces == "v0.2"
    assert promotions(registry)[-1].basis == "a champion before v0.2"
    assert liftgate.rollback("v0", registry=registry).champion == "v0"
    with pytest.raises(UsageError, match="v0 is the only champion so far"):
        liftgate.rollback("v0.1", registry=registry)


def test_a_rollback_that_is_repeated_goes_back_once(
    registered: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a kill before it could say so, or by a colleague who saw the same alarm."""
    registry = registered(3)
    for version in ("v0", "v0.1", "v0.2"):
        liftgate.promote(version, registry=registry)
    rollback = [sys.executable, "-m", "liftgate", "models", "rollback", "--registry", str(registry), "--json"]
    both = [subprocess.Popen(rollback, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate()[0]) for process in both]
    assert [one["champion"] for one in said] == ["v0.1", "v0.1"] and sum(one["changed"] for one in said) == 1
    done = liftgate.rollback("v0.1", registry=registry)
    assert (done.champion, done.replaces, done.changed, done.entry) == ("v0.1", "v0.2", False, "")
    assert main(["models", "rollback", "--registry", str(registry)]) == 0
    shown = capsys.readouterr()
    assert "v0.1 is the champion already, since v0.2 was rolled back; nothing was recorded" in shown.out
    assert "`liftgate models rollback VERSION` goes back further" in shown.err
    assert champions_of(registry) == ["v0.1"] and len(promotions(registry)) == 4


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def put(path: Path) -> None:
    path.with_name("other.pt").write_bytes(b"x")


def link(path: Path) -> None:
    path.rename(path.parent.parent / "aside")
    path.symlink_to(path.parent.parent / "aside")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change, "start_colours_v0.pt"),
        (lambda path: path.unlink(), "the file is gone"),
        (link, "the file is gone"),
        (put, "it was put there by hand"),
        (lambda path: shutil.rmtree(path.parent), "the folder is gone"),
    ],
)
def test_a_version_that_was_edited_by_hand_is_refused_by_name(
    registered: Callable[[int], Path], damage: Callable[[Path], None], message: str
) -> None:
    registry = registered(2)
    liftgate.promote("v0", registry=registry)
    liftgate.promote("v0.1", registry=registry)
    damage(registry / "v0" / "start_colours_v0.pt")
    before = len(promotions(registry))
    for call in (
        lambda: liftgate.promote("v0", registry=registry, override="never mind"),
        lambda: liftgate.rollback(registry=registry),
        lambda: liftgate.show_model("v0", registry=registry),
    ):
        with pytest.raises(DataError, match="v0 is not as it was registered") as refused:
            call()
        assert message in str(refused.value)
    assert len(promotions(registry)) == before and champions_of(registry) == ["v0.1"]
    check = liftgate.verify_models(registry=registry)
    assert not check.ok and all(one.file.startswith(("v0/", "v0", "aside")) for one in check.damages)
    assert main(["models", "verify", "--registry", str(registry)]) == 1
    assert liftgate.show_model(registry=registry).version == "v0.1", "the others are as they were"


def test_a_study_ledger_that_was_rewritten_does_not_allow_a_promotion(
    registered: Callable[[int], Path], study: Path
) -> None:
    registry = registered(1)
    ledger = study.parent / "runs/colours/ledger.sqlite"
    db = sqlite3.connect(ledger)
    db.execute("DROP TRIGGER no_update")
    db.execute("UPDATE entries SET body = replace(body, 'PASS', 'FAIL') WHERE kind = 'verdict'")
    db.commit()
    db.close()
    with pytest.raises(Refused, match="no longer the one that it was registered from"):
        liftgate.promote("v0", registry=registry)


@pytest.mark.parametrize("kind", ["version", "promotion"])
def test_a_registry_ledger_that_was_changed_is_refused(registered: Callable[[int], Path], kind: str) -> None:
    registry = registered(2)
    liftgate.promote("v0", registry=registry)
    db = sqlite3.connect(registry / "ledger.sqlite")
    db.execute("DROP TRIGGER no_update")
    db.execute(f"UPDATE entries SET body = replace(body, 'v0', 'v9') WHERE kind = '{kind}'")
    db.commit()
    db.close()
    for call in (
        lambda: liftgate.list_models(registry=registry),
        lambda: liftgate.promote("v0.1", registry=registry),
        lambda: liftgate.rollback(registry=registry),
        lambda: liftgate.verify_models(registry=registry),
    ):
        with pytest.raises(LedgerError, match="was changed"):
            call()


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("registry_benchmark", ROOT / "benchmarks/registry.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.promise
def test_kills_and_two_at_once_leave_exactly_one_champion(registered: Callable[[int], Path]) -> None:
    found = load_benchmark().kill_loop(registered(3), kills=6)
    assert found.kills == 6 and found.promotions >= found.reported >= 6
    assert (found.broken, found.lost, found.more_or_fewer_champions) == (0, 0, 0)


def test_the_command_line_says_the_same_as_the_functions(
    registered: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    registry = registered(1)

    def said(*words: str) -> dict[str, object]:
        assert main(["models", *words, "--registry", str(registry), "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    assert said("list")["champion"] is None
    assert said("promote", "v0")["champion"] == "v0"
    assert said("show")["version"] == "v0" and said("verify")["ok"] is True
    for words in (["list"], ["show", "v0"], ["verify"]):
        assert main(["models", *words, "--registry", str(registry)]) == 0
    shown = capsys.readouterr().out
    assert "* v0" in shown and "Verdict: PASS" in shown and "untouched: 1 versions" in shown
    assert main(["models", "show", "v7", "--registry", str(registry)]) == 2
    assert "no such version" in capsys.readouterr().err
    assert main(["ledger", "show", str(registry / "ledger.sqlite")]) == 0
    assert "promote: v0 (PASS of lift" in capsys.readouterr().out
    assert yaml.safe_load((registry / "v0" / "study_v0.yaml").read_text()) == STUDY


def test_a_registry_through_a_link_is_the_same_registry(registered: Callable[[int], Path]) -> None:
    """Two at once by two names of it: one lock, one ledger, one champion."""
    registry = registered(2)
    link = registry.with_name("link")
    link.symlink_to(registry)
    both = [
        subprocess.Popen([sys.executable, "-m", "liftgate", "models", "promote", version, "--registry", str(place)])
        for version, place in (("v0", registry), ("v0.1", link))
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert len(champions_of(registry)) == 1 and champions_of(link) == champions_of(registry)
    assert len(promotions(registry)) == 2 and liftgate.verify_models(registry=link).ok
    (registry / "v0").rename(registry.with_name("elsewhere"))
    (registry / "v0").symlink_to(registry.with_name("elsewhere"))
    with pytest.raises(DataError, match="no folder of its own"):
        liftgate.promote("v0", registry=registry)
