"""events.jsonl: whole lines or none, whatever happened to the writer."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from liftgate.backends.events import EpochReport, LogEvent
from liftgate.training.events import EventFile, EventTail, read_events, to_json_value


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(EpochReport(epoch=1, metrics={"mAP50": 0.5}))
    assert read_events(tmp_path / "e") == [EpochReport(epoch=1, metrics={"mAP50": 0.5})]


def test_the_lines_have_the_form_of_0_1_0(tmp_path: Path) -> None:
    report = {"epoch": 1, "epochs": 2, "losses": {"train/loss": 0.5}, "metrics": {"mAP50": None}, "fitness": None}
    report |= {"lr": {"lr/pg0": 0.01}, "seconds": 1.5, "peak_memory_mb": None}
    lines = [
        {"kind": "started", "body": {"message": "training", "resumed_after": 0, "devices": 1, "torch": "2.15"}},
        {"kind": "epoch", "body": report},
        {"kind": "warning", "body": {"message": "halved", "fact": "batch_halved", "batch": 4}},
        {"kind": "done", "body": {"epochs": 2, "best_epoch": 1}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "old").write_text(text)
    writer = EventFile(tmp_path / "new")
    for event in read_events(tmp_path / "old"):
        writer.emit(event)
    written = [json.loads(line) for line in (tmp_path / "new").read_text().splitlines()]
    assert [{"kind": line["kind"], "body": line["body"]} for line in written] == lines


def test_half_a_line_left_by_a_kill_is_cut_off_before_the_next_event(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(LogEvent(message="1"))
    with (tmp_path / "e").open("a") as file:
        file.write('{"kind": "epo')
    EventFile(tmp_path / "e").emit(LogEvent(message="2"))
    assert [event.to_body()["message"] for event in read_events(tmp_path / "e")] == ["1", "2"]


def test_a_tail_hands_out_each_event_once_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    tail, path = EventTail(tmp_path / "e"), tmp_path / "e"
    assert list(tail.read_new()) == []
    line = json.dumps({"kind": "log", "body": {"message": "größer"}}, ensure_ascii=False).encode() + b"\n"
    path.write_bytes(line + line[:9])
    assert len(list(tail.read_new())) == 1
    assert list(tail.read_new()) == []
    path.write_bytes(line + line)
    assert [event.to_body()["message"] for event in tail.read_new()] == ["größer"]


def test_a_tail_begins_at_the_present_end(tmp_path: Path) -> None:
    writer = EventFile(tmp_path / "e")
    writer.emit(LogEvent(message="1"))
    tail = EventTail(tmp_path / "e")
    writer.emit(LogEvent(message="2"))
    assert [event.to_body()["message"] for event in tail.read_new()] == ["2"]


def test_a_tail_is_not_misled_by_half_a_line_that_the_next_writer_cuts_off(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(LogEvent(message="1"))
    with (tmp_path / "e").open("a") as file:
        file.write('{"kind": "epoch", "body": {"epoch": 1, "losses"')
    tail = EventTail(tmp_path / "e")
    writer = EventFile(tmp_path / "e")
    for n in (2, 3):
        writer.emit(LogEvent(message=str(n)))
    assert [event.to_body()["message"] for event in tail.read_new()] == ["2", "3"]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_values)
def test_any_value_becomes_json_without_nan(value: object) -> None:
    assert json.loads(json.dumps(to_json_value(value), allow_nan=False)) == to_json_value(value)
