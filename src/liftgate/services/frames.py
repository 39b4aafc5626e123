"""Extract frames of videos, and choose those to label next: `frames` and `sample` of `liftgate.data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liftgate.data.provenance.declared_terms import DeclaredTerms
from liftgate.data.sampling import Sample, SamplingRequest
from liftgate.data.sampling import sample as choose_sample
from liftgate.data.sampling.sample import copy_frames, write_sample
from liftgate.data.video_frames import Extraction, NamingRules, Quota, Request, extract, find_sources
from liftgate.data.video_frames.origin import frames_terms, write_frames_card
from liftgate.data.video_frames.sources import RollingBuffer
from liftgate.ledger.recorded_files import require_unchanged_predictions
from liftgate.progress import Progress, silent


def frames(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    request: Request | None = None,
    *,
    per: Sequence[str] = (),
    seed: int = 0,
    camera: str | None = None,
    category: str = "folder",
    buffer: RollingBuffer | None = None,
    terms: DeclaredTerms | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Extraction:
    """Write frames of videos into a folder, with frames.csv and a card.

    Args:
        sources: videos, or folders of videos or images.
        out: folder for the frames.
        request: seconds between frames, window, JPEG quality and groups.
        per: most videos of each stratum, as `camera=3`.
        seed: which ones `per` takes.
        camera: how a video's camera is named: `folder`, a regex, or the name itself.
        category: how its category is named: `folder` or a regex.
        buffer: options for videos that are segments of a rolling buffer.
        terms: licence, origin, consent and confidentiality, if no card has them.
        workers: threads; default: two for each core.
        progress: called during the work.

    Raises:
        UsageError: a request out of range, PyAV missing, or `out` has frames of another request.
    """
    request = request or Request()
    given = [sources] if isinstance(sources, str | Path) else sources
    found = find_sources([Path(one) for one in given], naming=NamingRules(camera, category), buffer=buffer)
    known = frames_terms(Path(out), [source.path for source in found], terms)
    quotas = [Quota.parse(text) for text in per]
    result = extract(found, Path(out), request, quotas=quotas, seed=seed, workers=workers, progress=progress)
    words = " ".join([*(f"--per {text}" for text in per), *([f"--seed {seed}"] if per else [])])
    write_frames_card(result, request, known, words)
    return result


def sample(
    source: str | Path,
    out: str | Path | None = None,
    request: SamplingRequest | None = None,
    *,
    champion: str | Path | None = None,
    challenger: str | Path | None = None,
    new: str | Path | None = None,
    never: Sequence[str] = (),
    copy: str | Path | None = None,
    progress: Progress = silent,
) -> Sample:
    """Choose the next frames to label.

    Args:
        source: frames.csv of `frames`, or a folder of images.
        out: CSV that the chosen frames are written to.
        request: how many, by which reasons, and the seed.
        champion: log of the model in use: COCO results, JSON lines or CSV.
        challenger: log of another model on the same frames.
        new: what `liftgate drift --images FRAMES --json` printed: its new frames are a reason.
        never: splits (`split.csv` or `split.csv:NAME`) whose groups are never chosen from.
        copy: folder that the chosen frames are copied to.
        progress: called during the work.

    Raises:
        UsageError: a number of the request is out of range.
        DataError: frames, a log or a split cannot be read.
        Refused: a group is locked and the group of a frame is unknown.
    """
    logs = [None if path is None else Path(path) for path in (champion, challenger)]
    for log in logs:
        if log is not None:
            require_unchanged_predictions(log)
    result = choose_sample(
        Path(source),
        request,
        champion=logs[0],
        challenger=logs[1],
        new=None if new is None else Path(new),
        never=never,
        progress=progress,
    )
    if copy is not None:
        copy_frames([one.frame for one in result.chosen], Path(copy), progress)
    if out is not None:
        write_sample(result, Path(out))
    return result
