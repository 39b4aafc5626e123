"""events.jsonl: whole lines or none, whatever happened to the writer."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from liftgate.backends.base import Event
from liftgate.training.events import EventFile, Tail, plain, read_events


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(Event("epoch", {"epoch": 1, "metrics": {"mAP50": 0.5}}))
    assert read_events(tmp_path / "e") == [Event("epoch", {"epoch": 1, "metrics": {"mAP50": 0.5}})]


def test_half_a_line_left_by_a_kill_is_cut_off_before_the_next_event(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(Event("log", {"n": 1}))
    with (tmp_path / "e").open("a") as file:
        file.write('{"kind": "epo')
    EventFile(tmp_path / "e").emit(Event("log", {"n": 2}))
    assert [event.body["n"] for event in read_events(tmp_path / "e")] == [1, 2]


def test_a_tail_hands_out_each_event_once_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    tail, path = Tail(tmp_path / "e"), tmp_path / "e"
    assert list(tail.new()) == []
    line = json.dumps({"kind": "log", "body": {"text": "größer"}}, ensure_ascii=False).encode() + b"\n"
    path.write_bytes(line + line[:9])
    assert len(list(tail.new())) == 1
    assert list(tail.new()) == []
    path.write_bytes(line + line)
    assert [event.body["text"] for event in tail.new()] == ["größer"]


def test_a_tail_begins_at_the_present_end(tmp_path: Path) -> None:
    writer = EventFile(tmp_path / "e")
    writer.emit(Event("log", {"n": 1}))
    tail = Tail(tmp_path / "e")
    writer.emit(Event("log", {"n": 2}))
    assert [event.body["n"] for event in tail.new()] == [2]


def test_a_tail_is_not_misled_by_half_a_line_that_the_next_writer_cuts_off(tmp_path: Path) -> None:
    EventFile(tmp_path / "e").emit(Event("log", {"n": 1}))
    with (tmp_path / "e").open("a") as file:
        file.write('{"kind": "epoch", "body": {"epoch": 1, "losses"')
    tail = Tail(tmp_path / "e")
    writer = EventFile(tmp_path / "e")
    for n in (2, 3):
        writer.emit(Event("log", {"n": n}))
    assert [event.body["n"] for event in tail.new()] == [2, 3]


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_values)
def test_any_value_becomes_json_without_nan(value: object) -> None:
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == plain(value)
