"""An address at which no Ray cluster is, is said at once; Ray itself would try for minutes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from liftgate.engines.base import Resources, Submission
from liftgate.engines.ray_cluster import RayEngine
from liftgate.errors import TrainingError

pytest.importorskip("ray", reason="needs the `ray` extra")


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "127.0.0.1:99999", "head..node:6379"])
def test_an_address_at_which_nothing_answers_is_refused(address: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and not listening
        engine = RayEngine(address=address.format(port=free.getsockname()[1]))
        with pytest.raises(TrainingError, match="nothing answers at the address"):
            engine.submit([Submission("train", tmp_path, "a1", Resources())])
        engine.close()
