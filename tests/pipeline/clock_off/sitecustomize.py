"""A clock that is off by $LIFTGATE_TEST_CLOCK_OFF hours; Python imports this from PYTHONPATH as it starts.

pytest imports it too, in search of doctests: without the variable it changes nothing.
"""

from __future__ import annotations

import datetime as module
import os
import time
from datetime import datetime, timedelta, tzinfo

_SECONDS = 3600.0 * float(os.environ.get("LIFTGATE_TEST_CLOCK_OFF", "0"))
_time = time.time


class _Meta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class _Datetime(datetime, metaclass=_Meta):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(seconds=_SECONDS)


if _SECONDS:
    time.time = lambda: _time() + _SECONDS
    module.datetime = _Datetime  # type: ignore[misc]
