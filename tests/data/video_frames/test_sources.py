"""What frames are taken from, and what names tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.video_frames import NamingRules, Quota, find_sources
from liftgate.data.video_frames.select import select
from liftgate.data.video_frames.sources import RollingBuffer, date_and_time, safe_name
from liftgate.errors import DataError, UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@given(st.text(max_size=300))
def test_any_text_becomes_one_safe_part_of_a_file_name(text: str) -> None:
    name = safe_name(text)
    assert name
    assert len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\n\0 ')
    assert name[0] not in ".-"


@given(st.text(max_size=40))
def test_no_name_upsets_the_search_for_a_date(text: str) -> None:
    day, started = date_and_time(text)
    assert day == "" or started is None or day == f"{started:%Y-%m-%d}"


def test_camera_category_and_day_come_out_of_the_path(tmp_path: Path) -> None:
    touch(tmp_path / "hemming" / "cam3_20260114-083000.mp4", tmp_path / "cutting" / "2026-01-15" / "a.mkv")
    cutting, hemming = find_sources([tmp_path])
    assert (hemming.category, hemming.camera, hemming.day) == ("hemming", "cam3", "2026-01-14")
    assert str(hemming.started) == "2026-01-14 08:30:00"
    assert (cutting.name, cutting.day, cutting.camera) == ("cutting--2026-01-15--a", "2026-01-15", "")


def test_rules_for_camera_and_category_are_regular_expressions_with_one_group(tmp_path: Path) -> None:
    touch(tmp_path / "op07_left.mp4")
    (source,) = find_sources([tmp_path], naming=NamingRules(camera=r"_(\w+)\.", category=r"op(\d+)"))
    assert (source.camera, source.category) == ("left", "07")
    with pytest.raises(UsageError, match="one group"):
        find_sources([tmp_path], naming=NamingRules(camera=r"(a)(b)"))
    with pytest.raises(UsageError, match="regular expression"):
        find_sources([tmp_path], naming=NamingRules(category=r"(a"))


def test_sources_of_the_same_name_get_names_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "op.mp4", tmp_path / "b" / "op.mp4", tmp_path / "b" / "OP.mov")
    sources = find_sources([tmp_path / "a", tmp_path / "b"])
    assert len({source.name.casefold() for source in sources}) == 3


def test_a_source_that_joins_renames_none_of_the_others(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a" / "op.mp4", tmp_path / "in" / "b" / "op.mp4", tmp_path / "other" / "c" / "op.mp4")
    before = find_sources([tmp_path / "in" / "a", tmp_path / "in" / "b"])
    after = find_sources([tmp_path / "in" / "a", tmp_path / "in" / "b", tmp_path / "other" / "c"])
    assert {source.name for source in before} < {source.name for source in after}


def test_the_same_file_given_twice_is_one_source(tmp_path: Path) -> None:
    touch(tmp_path / "op.mp4")
    assert len(find_sources([tmp_path, tmp_path / "op.mp4"])) == 1


def test_hidden_files_and_other_files_are_no_sources(tmp_path: Path) -> None:
    touch(tmp_path / ".trash" / "a.mp4", tmp_path / ".b.mp4", tmp_path / "notes.txt")
    with pytest.raises(DataError, match="no video and no image"):
        find_sources([tmp_path])


def test_the_segment_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    files = [tmp_path / f"cam1_20260114-0830{second:02d}.ts" for second in (0, 10, 20)]
    touch(*files)
    for age, file in zip((30, 20, 10), files, strict=True):
        os.utime(file, (1000 - age, 1000 - age))
    busy = find_sources([tmp_path], buffer=RollingBuffer(newest=1), now=1000.0)
    assert [source.path.name for source in busy] == ["cam1_20260114-083010.ts"]
    stopped = find_sources([tmp_path], buffer=RollingBuffer(), now=1100.0)
    assert len(stopped) == 3
    assert {source.kind for source in stopped} == {"segment"}


def test_each_category_gives_its_number_and_a_late_video_does_not_reshuffle(tmp_path: Path) -> None:
    touch(*[tmp_path / f"cat{c}" / f"v{v}.mp4" for c in range(7) for v in range(6)])
    quotas = [Quota.parse("category=3")]
    first = select(find_sources([tmp_path]), quotas, seed=1)
    assert len(first) == 21
    assert select(find_sources([tmp_path]), quotas, seed=1) == first
    assert select(find_sources([tmp_path]), quotas, seed=2) != first
    touch(tmp_path / "cat0" / "late.mp4")
    second = select(find_sources([tmp_path]), quotas, seed=1)
    assert len({s.name for s in first} - {s.name for s in second}) <= 1


@pytest.mark.parametrize("text", ["category", "category=0", "colour=3", "day=-1", "day=x", "day=²"])
def test_a_quota_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Quota.parse(text)
