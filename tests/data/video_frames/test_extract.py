"""Frames out of videos, good ones and bad ones."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="needs the `frames` extra")

from data.video_frames.clips import picture, write_clip
from liftgate.data.video_frames import Extraction, Quota, Request, Window, extract, find_sources
from liftgate.data.video_frames.journal import NAME
from liftgate.data.video_frames.writing import save
from liftgate.errors import DataError, UsageError


def frames(source: Path, out: Path, **settings: object) -> Extraction:
    return extract(find_sources([source]), out, Request(**settings))  # type: ignore[arg-type]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != NAME}


def shown(path: Path) -> int:
    """Number of the frame in a clip that a JPEG shows, by its grey level."""
    grey = np.asarray(Image.open(path).convert("L"), dtype=float)
    return round(float(grey[32:, 32:].mean()) - float(picture(0)[40, 40, 0]))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts", "clip.mkv", "clip.avi", "clip.mov"])
@pytest.mark.parametrize("every", [0.3, 1.0, 4.0])
def test_every_container_gives_the_frame_of_the_time(tmp_path: Path, name: str, every: float) -> None:
    # AVI has no time stamps for B-frames; players guess.
    clip = write_clip(tmp_path / name, 100, options={"bf": "0" if name.endswith("avi") else "2"})
    outcome = frames(clip, tmp_path / "out", every=every)
    assert outcome.faults == ()
    assert len(outcome.frames) == np.ceil(10 / every - 1e-9)
    for row in outcome.frames:
        assert abs(float(row.time) - float(row.requested)) <= 0.1 + 1e-6
        assert abs(shown(tmp_path / "out" / row.image) - float(row.requested) * 10) <= 2
        assert row.image == f"clip_{round(float(row.time) * 1000):08d}ms.jpg"


def test_seeking_and_decoding_give_the_same_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 200, gop=10, options={"bf": "2"})
    sparse, dense = frames(clip, tmp_path / "sparse", every=4.0), frames(clip, tmp_path / "dense", every=0.1)
    assert len(dense.frames) == 200
    all_of_them = {row.image: row.sha256 for row in dense.frames}
    assert {row.image: row.sha256 for row in sparse.frames}.items() <= all_of_them.items()


def test_the_same_command_gives_the_same_bytes_on_any_number_of_cores(tmp_path: Path) -> None:
    for number in range(3):
        write_clip(tmp_path / "in" / f"v{number}.mp4", 60 + number, gop=12)
    sources = find_sources([tmp_path / "in"])
    for workers in (1, 3):
        extract(sources, tmp_path / f"out{workers}", Request(every=0.5), workers=workers)
    assert digests(tmp_path / "out1") == digests(tmp_path / "out3")


def test_the_manifest_names_every_image_its_group_and_its_hash(tmp_path: Path) -> None:
    write_clip(tmp_path / "in" / "cam1_20260114-083000.mp4", 30)
    outcome = frames(tmp_path / "in", tmp_path / "out", every=1.0)
    with outcome.manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["cam1_20260114-083000"] * 3
    assert [row["taken"] for row in rows] == [f"2026-01-14T08:30:0{second}" for second in range(3)]
    for row in rows:
        assert hashlib.sha256((tmp_path / "out" / row["image"]).read_bytes()).hexdigest() == row["sha256"]
        assert (row["width"], row["height"], row["camera"], row["day"]) == ("96", "64", "cam1", "2026-01-14")


def test_start_end_and_centre_bound_the_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 100)

    def times(window: Window, out: str) -> list[float]:
        return [float(row.time) for row in frames(clip, tmp_path / out, every=1.0, window=window).frames]

    assert times(Window(start=2.5, end=5.0), "a") == [2.5, 3.5, 4.5]
    assert times(Window(length=2, centre=8.0), "b") == [7.0, 8.0]
    assert times(Window(start=60), "c") == []


def test_the_window_of_most_motion_is_where_it_moves(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 300, moving=range(200, 240))
    outcome = frames(clip, tmp_path / "out", every=1.0, window=Window(length=4, centre="motion"))
    assert [float(row.time) for row in outcome.frames] == pytest.approx([20, 21, 22, 23], abs=0.6)


def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path) -> None:
    corner = {90: (-8, 8), 180: (-8, -8), -90: (8, -8)}  # where the white left upper corner goes
    for turn, (y, x) in corner.items():
        clip = write_clip(tmp_path / f"turn{turn}.mp4", 5, rotation=turn)
        (row,) = frames(clip, tmp_path / f"out{turn}").frames
        pixels = np.asarray(Image.open(tmp_path / f"out{turn}" / row.image).convert("L"))
        assert pixels.shape == ((64, 96) if turn == 180 else (96, 64))
        assert (int(row.height), int(row.width)) == pixels.shape
        assert pixels[y, x] > 200 > pixels[-y, -x]


@pytest.mark.parametrize("every", [0.5, 3.0])
def test_a_variable_rate_gives_the_nearest_frame_and_no_frame_twice(tmp_path: Path, every: float) -> None:
    stamps = [0, 0.1, 0.2, 5, 5.1, 9.0, 9.05, 9.4, 9.9]
    clip = write_clip(tmp_path / "clip.mp4", len(stamps), times=stamps, gop=3, options={"bf": "2"})
    outcome = frames(clip, tmp_path / "out", every=every)
    for row in outcome.frames:
        assert float(row.time) == pytest.approx(min(stamps, key=lambda one: abs(one - float(row.requested))))
    assert len({row.image for row in outcome.frames}) == len(outcome.frames)
    assert len(outcome.frames) + outcome.n_repeated == len(np.arange(0, 10.0, every))


def test_a_video_with_one_key_frame_is_decoded_from_there(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 120, gop=1000, options={"sc_threshold": "0"})
    outcome = frames(clip, tmp_path / "out", every=3.0)
    assert [shown(tmp_path / "out" / row.image) for row in outcome.frames] == pytest.approx([0, 30, 60, 90], abs=1)


def test_a_fragmented_mp4_is_read_to_its_end(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 60, container={"movflags": "frag_keyframe+empty_moov"})
    assert len(frames(clip, tmp_path / "out", every=1.0).frames) == 6


def broken(folder: Path) -> None:
    good = write_clip(folder / "good.mp4", 30)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video at all")
    (folder / "no_index.mp4").write_bytes(good.read_bytes()[:-400])
    (folder / "remote.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    fast = write_clip(folder / "cut.mp4", 300, container={"movflags": "faststart"}).read_bytes()
    (folder / "cut.mp4").write_bytes(fast[: len(fast) // 2])


def test_broken_videos_are_faults_and_the_rest_goes_on(tmp_path: Path) -> None:
    broken(tmp_path / "in")
    outcome = frames(tmp_path / "in", tmp_path / "out", every=1.0)
    kinds = {Path(fault.where).stem: fault.kind for fault in outcome.faults if fault.kind != "video_damaged"}
    assert kinds == {
        "empty": "video_empty",
        "text": "video_unreadable",
        "no_index": "video_unreadable",
        "remote": "video_unreadable",
        "cut": "video_cut",
    }
    videos = [row.video for row in outcome.frames]
    assert videos.count("good") == 3
    assert 4 <= videos.count("cut") < 25
    assert "header says 30.0 s" in next(fault.message for fault in outcome.faults if fault.kind == "video_cut")


def test_damaged_bytes_do_not_stop_a_video(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 200, container={"movflags": "faststart"})
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    clip.write_bytes(data)
    outcome = frames(clip, tmp_path / "out", every=1.0)
    assert len(outcome.frames) >= 15


def test_where_a_chosen_video_is_broken_another_of_its_category_takes_its_place(tmp_path: Path) -> None:
    for number in range(4):
        write_clip(tmp_path / "in" / "a" / f"v{number}.mp4", 10)
    sources = find_sources([tmp_path / "in"])
    quotas = [Quota("category", 2)]
    before = {row.video for row in extract(sources, tmp_path / "one", quotas=quotas).frames}
    victim = sorted(before)[0]
    (tmp_path / "in" / "a" / f"{victim.split('--')[1]}.mp4").write_bytes(b"")
    outcome = extract(sources, tmp_path / "two", quotas=quotas)
    after = {row.video for row in outcome.frames}
    assert len(after) == 2
    assert before - {victim} < after
    assert [fault.kind for fault in outcome.faults] == ["video_empty"]


def test_a_second_run_does_nothing_and_mends_what_was_changed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 50)
    first = frames(clip, tmp_path / "out", every=1.0)
    before = digests(tmp_path / "out")
    assert frames(clip, tmp_path / "out", every=1.0).n_written == 0
    (tmp_path / "out" / first.frames[2].image).write_bytes(b"half")
    assert frames(clip, tmp_path / "out", every=1.0).n_written > 0
    assert digests(tmp_path / "out") == before


def test_a_torn_journal_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    for number in range(3):
        write_clip(tmp_path / "in" / f"v{number}.mp4", 20)
    frames(tmp_path / "in", tmp_path / "out", every=1.0)
    before = digests(tmp_path / "out")
    journal = tmp_path / "out" / NAME
    journal.write_bytes(journal.read_bytes()[:-40])
    again = frames(tmp_path / "in", tmp_path / "out", every=1.0)
    assert 0 < again.n_written < 6
    assert digests(tmp_path / "out") == before
    assert frames(tmp_path / "in", tmp_path / "out", every=1.0).n_written == 0


def test_a_folder_with_frames_asked_for_differently_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    frames(clip, tmp_path / "out", every=1.0)
    before = digests(tmp_path / "out")
    with pytest.raises(UsageError, match="frames of another request"):
        frames(clip, tmp_path / "out", every=0.5)
    assert digests(tmp_path / "out") == before


def test_a_killed_run_leaves_no_half_image_and_the_next_one_finishes(tmp_path: Path) -> None:
    for number in range(6):
        write_clip(tmp_path / "in" / f"v{number}.mp4", 100)
    whole = frames(tmp_path / "in", tmp_path / "whole", every=0.1)
    # The run kills itself with SIGKILL when its first piece is noted: no timer, so it is in the middle everywhere.
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from liftgate.data.video_frames import Request, extract, find_sources\n"
        "def progress(what, done, total):\n"
        "    noted = what == 'frames' and Path(sys.argv[2], '.frames.jsonl').read_text().count('rows')\n"
        "    if noted: os.kill(os.getpid(), signal.SIGKILL)\n"
        "extract(find_sources([Path(sys.argv[1])]), Path(sys.argv[2]), Request(every=0.1), progress=progress)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")])
    assert done.returncode == -signal.SIGKILL
    left = list((tmp_path / "out").glob("*.jpg"))
    assert 0 < len(left) < len(whole.frames)
    for path in left:
        Image.open(path).load()
    again = frames(tmp_path / "in", tmp_path / "out", every=0.1)
    assert 0 < again.n_written < len(whole.frames)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_run_killed_while_it_named_an_image_leaves_no_second_name(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    whole = frames(clip, tmp_path / "whole", every=1.0)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from liftgate.data.video_frames import Request, extract, find_sources\n"
        "link = os.link\n"
        "os.link = lambda *names: (link(*names), os.kill(os.getpid(), signal.SIGKILL))\n"
        "extract(find_sources([Path(sys.argv[1])]), Path(sys.argv[2]), Request(every=1.0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(clip), str(tmp_path / "out")])
    assert done.returncode == -signal.SIGKILL
    assert any(path.stat().st_nlink == 2 for path in (tmp_path / "out").glob("*.jpg"))
    assert frames(clip, tmp_path / "out", every=1.0).n_written == len(whole.frames)
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_two_units_may_write_the_same_frame_at_once_and_no_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(save, tmp_path, f"{n // 8}.jpg", b"the same" * 1000) for n in range(800)]
    assert len({one.result() for one in written}) == 1
    with pytest.raises(DataError, match="another file of this name"):
        save(tmp_path, "0.jpg", b"another")
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"the same" * 1000}
    assert len(list(tmp_path.iterdir())) == 100


def test_segments_keep_one_clock_and_one_group_and_outlive_their_files(tmp_path: Path) -> None:
    from liftgate.data.video_frames.sources import RollingBuffer

    folder = tmp_path / "cam1"
    for second in (4, 11, 18):
        write_clip(folder / f"cam1_20260114-0830{second:02d}.mp4", 70)
    os.utime(folder / "cam1_20260114-083018.mp4", (0, 0))
    sources = find_sources([folder], buffer=RollingBuffer())
    outcome = extract(sources, tmp_path / "out", Request(every=5.0))
    assert [row.taken[-8:] for row in outcome.frames] == ["08:30:05", "08:30:10", "08:30:15", "08:30:20"]
    assert {row.group for row in outcome.frames} == {"cam1_2026-01-14"}
    (folder / "cam1_20260114-083004.mp4").unlink()
    later = extract(find_sources([folder], buffer=RollingBuffer()), tmp_path / "out", Request(every=5.0))
    assert later.frames == outcome.frames


def test_images_are_copied_as_they_are_and_thinned_by_the_time_in_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "winter"
    folder.mkdir(parents=True)
    for second in range(12):
        Image.fromarray(picture(second)).save(folder / f"IMG_20260114_0830{second:02d}.png")
    (folder / "IMG_20260114_083100.png").write_bytes(b"\x89PNG")
    outcome = frames(tmp_path / "in", tmp_path / "out", every=5.0)
    assert [row.taken[-2:] for row in outcome.frames] == ["00", "05", "10"]
    for row in outcome.frames:
        assert (tmp_path / "out" / row.image).read_bytes() == (folder / row.image.split("--")[1]).read_bytes()
    assert [(fault.kind, fault.message) for fault in outcome.faults] == [("image_unreadable", "not an image")]
    assert {row.group for row in outcome.frames} == {"winter"}


def test_the_originals_are_not_touched(tmp_path: Path) -> None:
    broken(tmp_path / "in")
    before = digests(tmp_path / "in")
    frames(tmp_path / "in", tmp_path / "out", every=1.0)
    assert digests(tmp_path / "in") == before


def test_the_fixture_videos_give_one_frame_per_five_seconds(tmp_path: Path, fixtures: Path) -> None:
    outcome = frames(fixtures / "videos", tmp_path / "one", every=5.0)
    counts = {video: [row.video for row in outcome.frames].count(video) for video in {r.video for r in outcome.frames}}
    assert counts == {"car-detection": 7, "one-by-one-person-detection": 28, "bottle-detection": 8}
    rate = {"car-detection": 12.5, "one-by-one-person-detection": 10.0, "bottle-detection": 179 / 6}
    for row in outcome.frames:
        assert abs(float(row.time) - float(row.requested)) < 1 / rate[row.video]
    frames(fixtures / "videos", tmp_path / "two", every=5.0)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program to compare with")
def test_ffmpeg_shows_the_same_picture_at_the_same_time(tmp_path: Path, fixtures: Path) -> None:
    video = fixtures / "videos" / "bottle-detection.mp4"
    outcome = frames(video, tmp_path / "out", every=10.0)
    for row in outcome.frames:
        expected = tmp_path / "expected.png"
        at = f"{float(row.time) - 0.001:.4f}"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", video, "-ss", at, "-frames:v", "1", expected], check=True, timeout=60
        )
        ours = np.asarray(Image.open(tmp_path / "out" / row.image).convert("L"), dtype=float)
        theirs = np.asarray(Image.open(expected).convert("L"), dtype=float)
        assert np.abs(ours - theirs).mean() < 2


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in/clip.mp4", 20)
    with pytest.raises(UsageError, match="not empty"):
        frames(clip, clip.parent, every=1.0)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_two_programs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    frames(clip, tmp_path / "out", every=1.0)
    with (tmp_path / "out/.frames.jsonl").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as another program holds it
        with pytest.raises(UsageError, match="another program"):
            frames(clip, tmp_path / "out", every=1.0)
    assert frames(clip, tmp_path / "out", every=1.0).n_written == 0


def test_a_disk_that_is_full_leaves_no_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 20)
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            frames(clip, tmp_path / "out", every=1.0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".frames.jsonl"]
    assert frames(clip, tmp_path / "out", every=1.0).n_written == 2
