"""What may be wrong with a video, a segment, a camera or an image, and what can be done about it. The rest goes on."""

from __future__ import annotations

from collections.abc import Iterable

from liftgate.data.core.dataset import Fault

HINTS = {
    "video_empty": "copy it again; a recording that was never closed is empty",
    "video_unreadable": "play it: if no player can, copy it again or take it out",
    "video_no_stream": "it has sound or text only: take it out",
    "video_no_frames": "record or export it again with key frames",
    "video_cut": "copy or export it again; the frames before the cut are kept",
    "video_damaged": "look at the frames near there, or copy it again",
    "video_gone": "copy segments away before the recorder drops them",
    "video_short": "another --start, or --window, which is moved into a video that is shorter",
    "segment_no_clock": "name segments by their time, as cam1_20260114-083000.ts",
    "stream_lost": "is the camera on, the address right, and are user and password in it? The same command goes on",
    "image_unreadable": "take it out, or copy it again",
}
"""Kind of fault → hint. The kinds are stable: `frames.KIND` is the id of a finding."""


def findings(faults: Iterable[Fault]) -> list[dict[str, object]]:
    """Return the faults in the shape of `liftgate check`'s findings, as plain JSON values.

    They are warnings: what could be had was had.
    """
    return [
        {
            "id": f"frames.{fault.kind}",
            "severity": "warning",
            "where": fault.where,
            "message": fault.message,
            "hint": HINTS[fault.kind],
        }
        for fault in faults
    ]
