"""What a shadow test wrote: read as it was written, or refused."""

from __future__ import annotations

import errno
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from liftgate.deploy.shadow.request import (
    REQUEST,
    STATE,
    ShadowRequest,
    ShadowState,
    create_test,
    read_test,
    write_state,
)
from liftgate.deploy.shadow.request import tests_of as shadow_tests_of
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


def test_a_test_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: object) -> None:
        path.with_name(f".{path.name}.0.part").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("liftgate.deploy.shadow.request.write_json", full)
        with pytest.raises(OSError, match="No space"):
            create_test(tmp_path, REQUESTED)
    killed = tmp_path / "shadow" / ".20260101T000000-v0.1.999999999.part"  # as after a kill
    killed.mkdir()
    (killed / REQUEST).write_text(json.dumps(msgspec.to_builtins(REQUESTED)))
    assert shadow_tests_of(tmp_path) == []
    test = create_test(tmp_path, REQUESTED)
    assert [one.folder for one in shadow_tests_of(tmp_path)] == [test.folder]
    assert test.folder.stat().st_mode & 0o777 == 0o700 and not killed.exists()


def test_one_test_at_a_time_is_started_however_many_try_at_once(tmp_path: Path) -> None:
    requests = [replace(REQUESTED, challenger=f"v0.{number}") for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(create_test, tmp_path, one) for one in requests]
    refused = [one.exception() for one in tried if one.exception() is not None]
    assert len(refused) == 7 and all("another shadow test is at work" in str(error) for error in refused)


def test_the_same_start_again_is_the_test_at_work(tmp_path: Path) -> None:
    """As after a kill before it could say so, or by two at once."""
    requests = [replace(REQUESTED, started=REQUESTED.started + second) for second in range(8)]
    with ThreadPoolExecutor(8) as pool:
        tried = {pool.submit(create_test, tmp_path, one) for one in requests}
    (first,) = shadow_tests_of(tmp_path)
    assert {one.result().folder for one in tried} == {first.folder}
    write_state(first.folder, ShadowState("finished"))
    second = create_test(tmp_path, first.request)  # in the same second
    assert second.folder.name == f"{first.folder.name}-2"
