"""Plan the work for each source, in units for the cores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from liftgate.data.core.dataset import Fault
from liftgate.data.video_frames.images import thinned
from liftgate.data.video_frames.motion import busiest_centre
from liftgate.data.video_frames.picking import chunks, runs
from liftgate.data.video_frames.records import FrameSource, Request
from liftgate.data.video_frames.select import Quota, select
from liftgate.data.video_frames.times import bounds, grid
from liftgate.data.video_frames.video import BadVideoError, Video, VideoIndex
from liftgate.hashing import content_hash
from liftgate.progress import Progress

_IMAGES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """One unit of work: some frames of one video, or some images of one folder."""

    key: str
    """Hash of all that the result depends on: the file's name, size and time of change, the request, the times."""
    sources: tuple[FrameSource, ...]
    runs: tuple[tuple[float, ...], ...] = ()
    """Requested times of a video; each run is decoded from one key frame."""
    facts: VideoIndex | None = None
    keep: bool = False
    """Keep its frames in the manifest when the source no longer exists (a rolling buffer)."""

    @property
    def n_wanted(self) -> int:
        """Number of requested frames."""
        return sum(map(len, self.runs)) if self.facts else len(self.sources)


class SourcePlan(NamedTuple):
    """Units of work for one source, or its faults."""

    source: FrameSource
    work: tuple[WorkUnit, ...] = ()
    faults: tuple[Fault, ...] = ()
    n_missing: int = 0
    """Requested frames after the end of the packets, if the header claims a longer video."""
    broken: bool = False
    """No frame can be read from it."""


def make_plans(
    sources: Sequence[FrameSource],
    request: Request,
    quotas: Sequence[Quota],
    seed: int,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> list[SourcePlan]:
    """Plan the sources that the quotas select; another of the same stratum replaces a broken one.

    The broken ones are in the result too, with their faults.
    """
    plans: dict[str, SourcePlan] = {}
    while True:
        sound = [source for source in sources if source.name not in plans or not plans[source.name].broken]
        chosen = select(sound, quotas, seed)
        new = [source for source in chosen if source.kind != "image" and source.name not in plans]
        for plan in pool.map(lambda source: make_plan(source, request), new):
            plans[plan.source.name] = plan
            progress("looking at videos", len(plans), len(plans) + len(new))
        if not new:
            break
    taken = {source.name for source in chosen}
    kept = [plan for plan in plans.values() if plan.broken or plan.source.name in taken]
    return kept + _image_plans([source for source in chosen if source.kind == "image"], request)


def make_plan(source: FrameSource, request: Request) -> SourcePlan:
    """Open a video, choose the times and divide them into units of work; a broken video gives a plan with its fault."""
    try:
        with Video(source.path) as video:
            facts = video.facts()
            window, centre = request.window, None
            if window.length is not None and window.centre == "motion" and facts.duration > window.length:
                centre = busiest_centre(video, facts, window.length)
    except BadVideoError as error:
        return SourcePlan(source, faults=(error.fault,), broken=True)
    phase, faults = _phase(source, request)
    times = grid(*bounds(window, facts.duration, centre), request.every, phase=phase)
    promised = grid(*bounds(window, facts.claimed, centre), request.every, phase=phase)
    if not promised and source.kind == "video":
        length = f"it is {facts.duration:.1f} s long, and the window begins at {window.start:.1f} s"
        faults = (*faults, Fault("video_short", str(source.path), length))
    state = _file_identity(source)
    work = tuple(
        WorkUnit(
            content_hash([state, request, part]),
            (source,),
            tuple(tuple(run) for run in part),
            facts,
            keep=source.kind == "segment",
        )
        for part in chunks(runs(times, facts.keys, facts.gap), facts.keys, facts.gap)
    )
    return SourcePlan(source, work, faults, n_missing=len(promised) - len(times))


def _phase(source: FrameSource, request: Request) -> tuple[float, tuple[Fault, ...]]:
    """Return the seconds from the begin of the window to its first frame."""
    if source.kind != "segment":
        return 0.0, ()
    if source.started is None:
        return 0.0, (Fault("segment_no_clock", str(source.path), "its name has no time"),)
    clock = source.started.hour * 3600 + source.started.minute * 60 + source.started.second
    return -(clock + request.window.start) % request.every, ()  # by the clock, whatever segment they are in


def _image_plans(sources: Sequence[FrameSource], request: Request) -> list[SourcePlan]:
    kept = thinned(sources, request)
    parts = [tuple(kept[start : start + _IMAGES_AT_ONCE]) for start in range(0, len(kept), _IMAGES_AT_ONCE)]
    return [
        SourcePlan(part[0], (WorkUnit(content_hash([[_file_identity(source) for source in part], request]), part),))
        for part in parts
    ]


def _file_identity(source: FrameSource) -> list[object]:
    """Return what distinguishes a file from another of the same name, without reading all of it."""
    labels = [source.camera, source.category, source.day, source.folder, str(source.started)]
    try:
        facts = source.path.stat()
    except OSError:  # deleted meanwhile: reading it reports that
        return [source.name, labels]
    return [source.name, source.kind, labels, facts.st_size, facts.st_mtime_ns]
