"""What a learnability probe showed is judged: classes named by chance are told, hard ones and few objects are not."""

from __future__ import annotations

import numpy as np
import pytest

from checks.plants import PLANTS
from checks.small_set import SmallSet
from liftgate.checks.probes.learnability import LearnabilityResult, indistinguishable_classes
from liftgate.checks.run import run


def probe(small: SmallSet, **counts: dict[str, int]) -> LearnabilityResult:
    (sound,) = PLANTS["probe.classes_by_chance"][0](small).probes
    return LearnabilityResult(**{**{name: getattr(sound, name) for name in sound.__slots__}, "others_named": counts})


def test_blood_cells_whose_classes_a_die_threw_are_named(small: SmallSet) -> None:
    """Counts of a real run: yolov8n on 24 images of bccd with thrown classes, AP50 0.92 by heart."""
    found = probe(
        small,
        Platelets={"Platelets": 32, "RBC": 65, "WBC": 9},
        RBC={"Platelets": 24, "RBC": 47, "WBC": 13},
        WBC={"Platelets": 31, "RBC": 63, "WBC": 21},
    )
    assert ("Platelets", "RBC") in indistinguishable_classes(found)


@pytest.mark.parametrize("right", [0.5, 0.7, 1.0])
def test_classes_that_are_told_apart_half_of_the_time_are_not_accused(small: SmallSet, right: float) -> None:
    """`right` above chance: hard classes after two dozen images."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        own = rng.binomial(30, 0.5 + right / 2)
        other = rng.binomial(30, 0.5 - right / 2)
        found = probe(small, a={"a": int(own), "b": int(30 - own)}, b={"a": int(other), "b": int(30 - other)})
        assert not indistinguishable_classes(found)


def test_a_few_objects_say_nothing(small: SmallSet) -> None:
    assert not indistinguishable_classes(probe(small, a={"a": 4, "b": 5}, b={"a": 40, "b": 60}))


def test_the_finding_names_the_pair(small: SmallSet) -> None:
    (found,) = run(PLANTS["probe.classes_by_chance"][0](small), select=["probe"]).findings
    assert found.data["pairs"] == [["cup", "plate"]] and "cup / plate" in found.message
