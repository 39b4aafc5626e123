"""What the page of a shadow test says of its blocks is of the test that decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from deploy.shadow.simulated import Scene, day, until
from liftgate.deploy.shadow.report import write_report
from liftgate.deploy.shadow.request import ShadowRequest, create_test
from liftgate.deploy.shadow.settle import find


def test_blocks_of_the_test_at_the_end_are_not_said_to_be_those_after_the_warm_up(tmp_path: Path) -> None:
    request = ShadowRequest("v0.1", "models", 0.0)
    test = create_test(tmp_path, request)
    minutes = until(day(np.random.default_rng(0), Scene(0.0)), 900)
    finding = find(minutes, request)
    pages = [
        write_report(test, replace(finding, is_by_end=by_end), minutes, [], tmp_path / f"{by_end}.html").read_text()
        for by_end in (False, True)
    ]
    tested = f"Tested: {finding.n_blocks} blocks of {finding.block_minutes} minutes, "
    assert f"{tested}first looked at after 720;" in pages[0]
    assert f"{tested}at the planned end;" in pages[1] and "first looked at" not in pages[1]
