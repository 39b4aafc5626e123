"""Extract frames from many videos on all cores, in units of work that an interrupted run does not repeat."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from liftgate.data.core.dataset import Fault
from liftgate.data.video_frames.images import copy_images
from liftgate.data.video_frames.journal import FinishedUnit, Journal
from liftgate.data.video_frames.library import pyav
from liftgate.data.video_frames.picking import nearest
from liftgate.data.video_frames.planning import SourcePlan, WorkUnit, make_plans
from liftgate.data.video_frames.records import DEFAULT_REQUEST, Extraction, FrameRow, FrameSource, Request
from liftgate.data.video_frames.select import Quota
from liftgate.data.video_frames.times import check_window, grid
from liftgate.data.video_frames.video import BadVideoError, Video, VideoIndex, error_text
from liftgate.data.video_frames.writing import frame_name, frame_row, jpeg, save, upright, write_manifest
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

MANIFEST = "frames.csv"


def extract(
    sources: Sequence[FrameSource],
    out: Path,
    request: Request = DEFAULT_REQUEST,
    *,
    quotas: Sequence[Quota] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Extraction:
    """Write the requested frames of `sources` into `out` as JPEG, with `frames.csv`.

    For each requested time the nearest frame is written. A video that cannot be read is a fault in the result, and with
    quotas another of its stratum replaces it. A second run does what is missing: finished units of work whose images
    still have their hashes are not repeated. The same sources and request give the same bytes, on any number of cores.

    Args:
        sources: videos and images, see `find_sources`.
        out: folder of the frames.
        request: seconds between frames, window, JPEG quality and groups.
        quotas: most sources of each stratum.
        seed: which sources `quotas` take.
        workers: threads; None: two for each core.
        progress: called as frames are decoded.

    Raises:
        UsageError: an invalid request, PyAV missing, or `out` has frames of another request.
    """
    check_request(request)
    if any(source.kind != "image" for source in sources):
        pyav()
    workers = workers or 2 * len(os.sched_getaffinity(0))  # one decodes while another waits for the disk or the lock
    with Journal(out, request) as journal, ThreadPoolExecutor(workers) as pool:
        plans = make_plans(sources, request, quotas, seed, pool, progress)
        work = [piece for plan in plans for piece in plan.work]
        todo = [piece for piece in work if not journal.holds(piece.key)]
        journal.discard(piece.key for piece in todo)
        # The decoder's own threads work on while ours wait for Python's lock: on a busy machine that halves the time.
        # Two each; more where there are few pieces (a video without key frames is one).
        opened = _OpenVideo(threads=max(2, workers // max(1, len(todo))))
        decoded: list[float] = []
        n_written = _run_units(
            todo, lambda piece: _extract_unit(piece, out, request, opened, decoded), decoded, journal, pool, progress
        )
        done = [journal.pieces[piece.key] for piece in work]
        keys = {piece.key for piece in work}
        done += [piece for piece in journal.pieces.values() if piece.keep and piece.key not in keys]
    rows = in_order(row for piece in done for row in piece.rows)
    write_manifest(out / MANIFEST, rows)
    return Extraction(
        manifest=out / MANIFEST,
        frames=rows,
        faults=_faults(plans, journal),
        n_sources=len(sources),
        n_written=n_written,
        n_repeated=sum(piece.n_repeated + len(piece.rows) for piece in done) - len(rows),
        chosen=tuple(source.name for plan in plans for piece in plan.work for source in piece.sources),
    )


def check_request(request: Request) -> None:
    """Refuse an invalid request.

    Raises:
        UsageError: a value is out of range.
    """
    grid(0, 0, request.every)
    check_window(request.window)
    if not 1 <= request.quality <= 95:
        raise UsageError("JPEG quality is out of range", expected="1 … 95", got=request.quality)


def in_order(rows: Iterable[FrameRow]) -> tuple[FrameRow, ...]:
    """Return each image once, sorted by name: two units of work of one video may share a frame."""
    return tuple(sorted({row.image: row for row in rows}.values(), key=lambda row: row.image))


_REPORT_EVERY = 0.5  # seconds


class _OpenVideo(threading.local):
    """The open video of each thread: its next unit of work is often of the same video, and opening takes long."""

    def __init__(self, threads: int) -> None:  # called again in every thread
        self._threads = threads
        self._video: Video | None = None

    def get(self, path: Path) -> Video:
        if self._video is None or self._video.path != path:
            if self._video is not None:
                self._video.close()
            self._video = None
            self._video = Video(path, threads=self._threads)
        return self._video


def _run_units(
    todo: Sequence[WorkUnit],
    do: Callable[[WorkUnit], FinishedUnit],
    decoded: Collection[float],
    journal: Journal,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> int:
    """Do the units of work, record each as it ends, and return how many frames were written.

    `decoded` gets every time that was decoded, also within a unit.
    """
    total = sum(piece.n_wanted for piece in todo)
    wanted, written = 0, 0
    running: dict[Future[FinishedUnit], WorkUnit] = {}
    try:
        running = {pool.submit(do, piece): piece for piece in todo}
        while running:
            done = wait(running, timeout=_REPORT_EVERY, return_when=FIRST_COMPLETED).done
            if not done:
                progress("frames", min(max(wanted, len(decoded)), total), total)
            for future in done:
                wanted += running.pop(future).n_wanted
                piece = future.result()
                journal.add(piece)
                written += len(piece.rows)
                progress("frames", min(max(wanted, len(decoded)), total), total)
    except BaseException:  # Ctrl-C, a full disk: running units finish, the rest is left to the next run
        for future in running:
            future.cancel()
        raise
    return written


def _extract_unit(
    work: WorkUnit, out: Path, request: Request, opened: _OpenVideo, decoded: list[float]
) -> FinishedUnit:
    if work.facts is None:
        rows, faults = copy_images(work.sources, out, request)
        return FinishedUnit(work.key, rows, faults)
    source = work.sources[0]
    try:
        return _frames_of(opened.get(source.path), work, work.facts, out, request, decoded)
    except BadVideoError as error:
        return FinishedUnit(work.key, faults=(error.fault,), n_missing=work.n_wanted, keep=work.keep)
    except pyav().FFmpegError as error:
        fault = Fault("video_damaged", str(source.path), error_text(error))
        return FinishedUnit(work.key, faults=(fault,), n_missing=work.n_wanted, keep=work.keep)


def _frames_of(
    video: Video, work: WorkUnit, facts: VideoIndex, out: Path, request: Request, decoded: list[float]
) -> FinishedUnit:
    source = work.sources[0]
    damaged = video.n_damaged
    rows: dict[str, FrameRow] = {}
    n_answered, ends = 0, 0.0
    for run in work.runs:
        for target, time, frame, after in nearest(video.frames_around(run, facts), run):
            decoded.append(target)
            ends = max(ends, time)
            shown = float(frame.duration * frame.time_base) if frame.duration else 0.0
            if not after and target > time + max(1.5 * facts.gap, shown):
                continue
            n_answered += 1
            name = frame_name(source, time)
            if name not in rows:
                picture = upright(frame)
                sha256 = save(out, name, jpeg(picture, request.quality))
                rows[name] = frame_row(source, request, name, picture.size, sha256, time=time, requested=target)
    return FinishedUnit(
        work.key,
        tuple(rows.values()),
        n_repeated=n_answered - len(rows),
        n_missing=work.n_wanted - n_answered,
        n_damaged=video.n_damaged - damaged,
        ends=ends,
        keep=work.keep,
    )


def _faults(plans: Sequence[SourcePlan], journal: Journal) -> tuple[Fault, ...]:
    """Return the faults of every source; those of its units of work are combined."""
    found: list[Fault] = []
    for plan in plans:
        pieces = [journal.pieces[work.key] for work in plan.work]
        found += [*plan.faults, *dict.fromkeys(fault for piece in pieces for fault in piece.faults)]
        facts = plan.work[0].facts if plan.work else None
        if facts is None:
            continue
        where = str(plan.source.path)
        missing = plan.n_missing + sum(piece.n_missing for piece in pieces)
        if pieces and not any(piece.rows for piece in pieces):
            found.append(
                Fault("video_no_frames", where, "no frame can be decoded: the key frames are missing or damaged")
            )
        elif facts.claimed > facts.duration or missing:
            ends = facts.duration if facts.claimed > facts.duration else max(piece.ends for piece in pieces)
            text = f"ends at {ends:.1f} s, its header says {facts.claimed:.1f} s"
            found.append(Fault("video_cut", where, f"{text}; {missing} requested frames are missing"))
        damaged = sum(piece.n_damaged for piece in pieces)
        if damaged:
            found.append(Fault("video_damaged", where, f"{damaged} packets cannot be decoded"))
    return tuple(sorted(found, key=lambda fault: (fault.where, fault.kind)))
