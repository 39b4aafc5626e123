"""Import PyAV on first use: it includes FFmpeg (LGPL build, 40 MB), and only video frames need it."""

from __future__ import annotations

from typing import Any

from liftgate.errors import UsageError


def pyav() -> Any:
    """Return the module `av`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UsageError(
            "frames need PyAV, which is not installed",
            got=error,
            hint="pip install '.[frames]' in the clone of Liftgate",
        ) from error
    return av
