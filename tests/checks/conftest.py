from __future__ import annotations

from pathlib import Path

import pytest

from checks.small_set import SmallSet, build


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the sound data set; nobody writes to it."""
    root = tmp_path_factory.mktemp("sound") / "small"
    build(root)
    return root


@pytest.fixture
def small(sound: Path, tmp_path: Path) -> SmallSet:
    """A copy of the sound data set that the test may spoil."""
    return SmallSet(sound, tmp_path / "small")
