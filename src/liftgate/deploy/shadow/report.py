"""The page of a shadow test: its statements, tables by camera and hour, pictures of disagreements."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import jinja2
from PIL import Image, ImageDraw, ImageOps

from liftgate.data.core.pictures import open_picture
from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.shadow.pairs import CameraMinutes, Pair, match
from liftgate.deploy.shadow.request import FRAMES, ShadowTest
from liftgate.deploy.shadow.settle import ShadowFinding
from liftgate.files import write_text
from liftgate.visible import visible_line, visible_text

_PICTURES = 8
"""Of each camera"""
_WIDTH = 480
_CHAMPION, _CHALLENGER = "#0b63c5", "#d9730d"


@dataclass(frozen=True, slots=True)
class _Picture:
    jpeg: str
    caption: str


def write_report(
    test: ShadowTest, finding: ShadowFinding, minutes: Sequence[CameraMinutes], pairs: Sequence[Pair], path: Path
) -> Path:
    """Write the page and return its path.

    Args:
        test: the shadow test.
        finding: what it says.
        minutes: its cameras.
        pairs: its disagreements.
        path: of the HTML file.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown)
    template = environment.from_string(files("liftgate.deploy.shadow").joinpath("report.html").read_text("utf-8"))
    hours = max((-(-len(one.images) // 60) for one in minutes), default=0)
    page = template.render(
        request=test.request,
        state=test.state,
        finding=finding,
        hours=range(hours),
        by_hour=[(one.camera, _shares(one, hours)) for one in minutes],
        gallery=_gallery(test.folder / FRAMES, pairs),
    )
    write_text(path, page)
    return path


def _shown(value: object) -> object:
    """Return a value as the page shows it: names of cameras, classes and images hide nothing."""
    return visible_text(value) if isinstance(value, str) else value


def _shares(one: CameraMinutes, hours: int) -> list[str]:
    found = []
    for hour in range(hours):
        part = slice(hour * 60, hour * 60 + 60)
        alone = float((one.champion_only + one.challenger_only)[part].sum())
        total = alone + float(one.agreed[part].sum())
        found.append("–" if total == 0 else f"{alone / total:.0%} of {total:.0f}")
    return found


def _gallery(folder: Path, pairs: Sequence[Pair]) -> list[tuple[str, list[_Picture]]]:
    by_camera: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.frame and (folder / pair.frame).is_file():
            by_camera[pair.camera].append(pair)
    gallery = []
    for camera, kept in sorted(by_camera.items()):
        chosen = kept[:: -(-len(kept) // _PICTURES)]  # spread over the time
        gallery.append((camera, [_picture(folder / one.frame, one) for one in chosen]))
    return gallery


def _picture(path: Path, pair: Pair) -> _Picture:
    with open_picture(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = min(_WIDTH / image.width, 1.0)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    image = image.resize(size, Image.Resampling.BOX)
    draw = ImageDraw.Draw(image)
    for boxes, others, colour in (
        (pair.champion, pair.challenger, _CHAMPION), (pair.challenger, pair.champion, _CHALLENGER),
    ):  # fmt: skip
        for box in boxes:
            if match([box], others).agreed == 0:
                draw.rectangle([side * scale for side in box.box], outline=colour, width=2)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    taken = datetime.fromtimestamp(pair.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    caption = f"{visible_line(pair.image)[:80]}, {taken}: {_names(pair.champion)} / {_names(pair.challenger)}"
    return _Picture(base64.b64encode(buffer.getvalue()).decode(), caption)


def _names(boxes: Sequence[LoggedBox]) -> str:
    return ", ".join(f"{visible_line(one.cls)} {one.confidence:.2f}" for one in boxes[:4]) or "nothing"
