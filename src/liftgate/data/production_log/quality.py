"""Red, yellow or green: what a production image is worth a look for, by rules in a file.

```yaml
red: {too_dark: 15}
yellow: {too_dark: 30, low_confidence: 0.4, count_jump: 3, flicker: 2.0, disagreement: 1}
```

too_dark        the mean brightness (0–255) is below
low_confidence  a detection has a confidence below
count_jump      the number of detections differs from the camera's image before by at least
flicker         a class was there, gone and there again (or the reverse) in three images of a camera within so many
                seconds
disagreement    a challenger that sees the same images reports at least so many objects that the champion does not, or
                the reverse; known a moment after the row is written
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from liftgate.data.production_log.records import LoggedBox, Quality
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import DataError
from liftgate.records import to_record

_MOST_CAMERAS = 10_000


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one colour; None: the rule is off."""

    too_dark: float | None = None
    low_confidence: float | None = None
    count_jump: int | None = None
    flicker: float | None = None
    disagreement: int | None = None


class QualityRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules of both colours."""

    red: Rules = Rules(too_dark=15.0)
    yellow: Rules = Rules(too_dark=30.0, low_confidence=0.4, count_jump=3, flicker=2.0, disagreement=1)


def read_rules(path: Path) -> QualityRules:
    """Return the rules of a file; a colour that is not named has none.

    Raises:
        DataError: it cannot be read, or names something else.
    """
    try:
        document = load_yaml(path)
        none = QualityRules(red=Rules(), yellow=Rules())
        found = to_record(document, QualityRules)
        return QualityRules(
            found.red if "red" in document else none.red, found.yellow if "yellow" in document else none.yellow
        )
    except (OSError, DocumentError, msgspec.ValidationError, TypeError) as error:
        expected = "red and yellow with too_dark, low_confidence, count_jump, flicker, disagreement"
        raise DataError("the quality rules cannot be read", where=path, expected=expected, got=error) from None


def disagreement_colour(rules: QualityRules, disagreements: int) -> Quality:
    """Return the colour of an image about which a champion and its challenger disagree.

    >>> disagreement_colour(QualityRules(), 1), disagreement_colour(QualityRules(), 0)
    ('yellow', 'green')

    Args:
        rules: of the log.
        disagreements: objects that only one of the two reports.
    """
    for colour, rule in (("red", rules.red.disagreement), ("yellow", rules.yellow.disagreement)):
        if rule is not None and disagreements >= max(rule, 1):
            return "red" if colour == "red" else "yellow"
    return "green"


@dataclass(frozen=True, slots=True)
class _Seen:
    time: float
    counts: Mapping[str, int]
    total: int


class QualityJudge:
    """Gives images their colour, one after the other; it remembers the last two of each camera."""

    def __init__(self, rules: QualityRules) -> None:
        self._rules = rules
        self._before: dict[str, deque[_Seen]] = {}

    def judge(
        self, time: float, camera: str, brightness: float, boxes: Sequence[LoggedBox]
    ) -> tuple[Quality, tuple[str, ...]]:
        """Return the colour of an image and the rules that made it so.

        Args:
            time: seconds since 1970; a clock that was set back starts the camera anew.
            camera: whose image it is; without one, images do not follow each other.
            brightness: 0 to 255.
            boxes: detections.
        """
        counts = Counter(one.cls for one in boxes)
        seen = _Seen(time, counts, len(boxes))
        before = self._before.setdefault(camera, deque(maxlen=2)) if camera else deque(maxlen=2)
        if before and time < before[-1].time:
            before.clear()
        least = min((one.confidence for one in boxes), default=1.0)
        red = _broken(self._rules.red, seen, before, brightness, least)
        yellow = _broken(self._rules.yellow, seen, before, brightness, least)
        before.append(seen)
        if len(self._before) > _MOST_CAMERAS:  # names come with requests: forget the oldest
            del self._before[next(iter(self._before))]
        if red:
            return "red", red
        return ("yellow", yellow) if yellow else ("green", ())


def _broken(
    rules: Rules, seen: _Seen, before: Sequence[_Seen], brightness: float, least_confidence: float
) -> tuple[str, ...]:
    found = []
    if rules.too_dark is not None and brightness < rules.too_dark:
        found.append("too_dark")
    if rules.low_confidence is not None and least_confidence < rules.low_confidence:
        found.append("low_confidence")
    if rules.count_jump is not None and before and abs(seen.total - before[-1].total) >= rules.count_jump:
        found.append("count_jump")
    if rules.flicker is not None and len(before) == 2 and seen.time - before[0].time <= rules.flicker:
        names = {*seen.counts, *before[0].counts, *before[1].counts}
        there = [(name in before[0].counts, name in before[1].counts, name in seen.counts) for name in names]
        if any(first == last != middle for first, middle, last in there):
            found.append("flicker")
    return tuple(found)
