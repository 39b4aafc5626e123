"""Write the card of a folder of frames, with the terms of its videos, for the next step to read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from liftgate.data.provenance.card import Card, read_card, require_card_place, write_card
from liftgate.data.provenance.declared_terms import DeclaredTerms, terms_of_files
from liftgate.data.provenance.licences import Terms
from liftgate.data.video_frames.records import Extraction, Request
from liftgate.hashing import file_hash


def frames_terms(out: Path, files: Collection[Path], declared: DeclaredTerms | None = None) -> Terms:
    """Return the terms of frames extracted from `files` into `out`.

    They are those in `declared`, else the strictest of the cards of the files' folders, else those of an earlier run
    into `out`. Called before extraction, so that a card that cannot be written is an error at once.

    Raises:
        Refused: `out` has a README.md that is not a card by Liftgate.
        DataError: a card is damaged.
    """
    require_card_place(out)
    before = read_card(out)
    return terms_of_files(files, declared, otherwise=None if before is None else before.terms)


def write_frames_card(outcome: Extraction, request: Request, terms: Terms, more: str = "") -> Path:
    """Write README.md next to the manifest and return its path."""
    folder = outcome.manifest.parent
    groups = {row.group for row in outcome.frames}
    counts = {"frames": {"images": len(outcome.frames), "groups": len(groups), "objects": 0}}
    made_by = " ".join(filter(None, ("liftgate data frames", _command_options(request), more)))
    hashes = {outcome.manifest.name: file_hash(outcome.manifest)}
    return write_card(Card(folder.resolve().name, made_by, terms, (), counts, {}, hashes), folder)


def _command_options(request: Request) -> str:
    window = request.window
    words = [f"--every {request.every:g}", f"--quality {request.quality}"]
    if window.start:
        words.append(f"--start {window.start:g}")
    if window.end is not None:
        words.append(f"--end {window.end:g}")
    if window.length is not None:
        words.append(f"--window {window.length:g} --centre {window.centre}")
    return " ".join(words)
