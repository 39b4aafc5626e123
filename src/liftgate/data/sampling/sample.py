"""Choose the next frames to label, write them as CSV and copy them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Fault
from liftgate.data.core.perceptual_hash import BITS, hash_files
from liftgate.data.provenance.card import Card, require_card_place, write_card
from liftgate.data.provenance.declared_terms import terms_of_files
from liftgate.data.sampling.choose import choose_frames
from liftgate.data.sampling.frames import read_frames
from liftgate.data.sampling.locked import locked_frames, read_locked, refuse_locked, refuse_unknown_groups
from liftgate.data.sampling.logs import read_log, read_new_looks
from liftgate.data.sampling.records import REASONS, CandidateFrame, ChosenFrame, PredictionLog, Sample, SamplingRequest
from liftgate.data.sampling.signals import reason_scores
from liftgate.errors import DataError, UsageError
from liftgate.files import delete_leftover, replacing, write_bytes
from liftgate.hashing import file_hash
from liftgate.progress import Progress, silent

COLUMNS = ("image", "reasons", "score", "group", "camera", "day")


def sample(
    source: Path,
    request: SamplingRequest | None = None,
    *,
    champion: Path | None = None,
    challenger: Path | None = None,
    new: Path | None = None,
    never: Sequence[str] = (),
    progress: Progress = silent,
) -> Sample:
    """Choose up to `request.budget` frames of `source` (a manifest or a folder) to label next.

    The same input and seed give the same choice.

    Args:
        source: frames.csv or a folder of images.
        request: how many frames, by which reasons.
        champion: log of the model in use: its flags, scores and detections.
        challenger: log of another model, used only where the two disagree.
        new: what `liftgate drift --images FRAMES --json` printed: its new frames are a reason.
        never: splits (`split.csv` or `split.csv:NAME`) whose groups are locked. Their frames and near-copies of these
            are never chosen.
        progress: called while files are read.

    Raises:
        UsageError: an invalid request.
        DataError: frames, a log or a split cannot be read.
        Refused: a group is locked and the group of a frame is unknown.
    """
    request = request or SamplingRequest()
    _check_request(request)
    if challenger is not None and champion is None:
        raise UsageError("a challenger needs a champion to disagree with")
    frames = read_frames(source)
    locked = [read_locked(text) for text in never]
    refuse_unknown_groups(frames, locked)
    logs: list[PredictionLog] = []
    for path in (champion, challenger):
        if path is not None:
            log, frames = read_log(path, frames)
            logs.append(log)
    is_locked = locked_frames(frames, locked)
    hashes, readable = hash_files([frame.path for frame in frames], progress)
    scores = reason_scores(
        frames,
        logs[0].records if logs else {},
        logs[1].records if len(logs) > 1 else {},
        conf=request.conf,
        low=request.low,
        new_looks=None if new is None else read_new_looks(new, frames),
    )
    picked, tallies = choose_frames(
        scores,
        [f"{frame.camera} {frame.day}".strip() for frame in frames],
        hashes,
        readable & ~is_locked,
        budget=request.budget,
        shares=request.shares,
        near=request.near,
        generator=np.random.default_rng(request.seed),
        avoid=np.flatnonzero(is_locked & readable).tolist(),
    )
    chosen = tuple(
        ChosenFrame(
            frames[index],
            (first, *[r for r in REASONS if r != first and r in scores and not np.isnan(scores[r][index])]),
            score,
        )
        for index, first, score in picked
    )
    refuse_locked([one.frame for one in chosen], locked)
    unreadable = [frame for frame, good in zip(frames, readable, strict=True) if not good]
    faults = [Fault("image_unreadable", str(frame.path), "not there, or damaged", frame.image) for frame in unreadable]
    return Sample(
        chosen=chosen,
        tallies=tallies,
        n_frames=len(frames),
        n_locked=int(is_locked.sum()),
        n_unreadable=len(unreadable),
        logs=tuple(logs),
        faults=tuple([fault for log in logs for fault in log.faults] + faults),
    )


def write_sample(result: Sample, path: Path) -> None:
    """Write the chosen frames as CSV, in the order chosen: the first rows are a good smaller sample."""
    rows = [
        (one.frame.image, ";".join(one.reasons), f"{one.score:.4f}", one.frame.group, one.frame.camera, one.frame.day)
        for one in result.chosen
    ]
    write_bytes(path, table_bytes(COLUMNS, rows))


def copy_frames(frames: Sequence[CandidateFrame], folder: Path, progress: Progress = silent) -> None:
    """Copy frames into `folder` under their names, with a card of their terms.

    A frame that exists there with the same bytes is not copied again.

    Raises:
        DataError: a frame is not there, or the folder has another file of the same name; nothing was copied.
        Refused: the folder has a README.md that is not a card by Liftgate.
    """
    require_card_place(folder)
    if gone := [frame for frame in frames if not frame.path.is_file()]:
        raise DataError(
            f"{len(gone)} of {len(frames)} frames are not there, so none was copied", where=gone[0].path,
            got="no such file", hint="name the folder of the images, or leave --copy out",
        )  # fmt: skip
    terms = terms_of_files([frame.path for frame in frames])
    targets = [folder / frame.image for frame in frames]  # read_frames refuses names that lead out of a folder
    for frame, target in zip(frames, targets, strict=True):
        if target.exists() and file_hash(target) != file_hash(frame.path):
            raise DataError("another file of this name is there", where=target, hint="another --copy folder")
    for number, (frame, target) in enumerate(zip(frames, targets, strict=True), 1):
        if target.exists():
            delete_leftover(target)
        else:
            with frame.path.open("rb") as source, replacing(target, "wb", only_new=True) as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        progress("copying", number, len(frames))
    groups = {frame.group or frame.image for frame in frames}
    counts = {"frames": {"images": len(frames), "groups": len(groups), "objects": 0}}
    write_card(Card(folder.resolve().name, "liftgate data sample", terms, (), counts, {}), folder)


def _check_request(request: SamplingRequest) -> None:
    if request.budget < 1:
        raise UsageError("the budget is out of range", expected="at least 1", got=request.budget)
    if not -1 <= request.near <= BITS:
        raise UsageError("near is out of range", expected=f"-1 … {BITS}", got=request.near)
    for name, value in (("conf", request.conf), ("low", request.low)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is out of range", expected="0 … 1", got=value)
    if not all(np.isfinite(share) and share >= 0 for share in request.shares.values()) or not sum(
        request.shares.values()
    ):
        raise UsageError("shares must be numbers from 0 on, not all of them 0", got=dict(request.shares))
