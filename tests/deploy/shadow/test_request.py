"""What a shadow test wrote: read as it was written, or refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from liftgate.deploy.shadow.request import (
    REQUEST,
    STATE,
    ShadowRequest,
    ShadowState,
    create_test,
    read_test,
    write_state,
)
from liftgate.errors import DataError

REQUESTED = ShadowRequest("v0.1", "models", 1.79e9, alpha=0.05)
STATED = ShadowState("running", "", offered=1234, shed=5, updated=1.79e9)


@pytest.mark.parametrize("file", [REQUEST, STATE])
def test_a_flipped_bit_is_noticed_or_without_effect(tmp_path: Path, file: str) -> None:
    test = create_test(tmp_path, REQUESTED)
    write_state(test.folder, STATED)
    assert (read_test(test.folder).request, read_test(test.folder).state) == (REQUESTED, STATED)
    path, dice, noticed = test.folder / file, random.Random(file), 0
    sound = path.read_bytes()
    for _ in range(500):
        damaged = bytearray(sound)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        try:
            read = read_test(test.folder)
        except DataError:
            noticed += 1
        else:
            assert (read.request, read.state) == (REQUESTED, STATED), bytes(damaged)
    assert noticed > 250


def test_what_an_older_version_wrote_is_taken_as_it_is(tmp_path: Path) -> None:
    test = create_test(tmp_path, REQUESTED)
    content = json.loads((test.folder / REQUEST).read_text())
    del content["sha256"]
    (test.folder / REQUEST).write_text(json.dumps(content))
    assert read_test(test.folder).request == REQUESTED
