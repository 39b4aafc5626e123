"""PyAV, imported on first use: it brings FFmpeg's libraries (LGPL build, 40 MB), and only this room needs them."""

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
