"""Strangers' checkpoints: none is called harmless, none takes long, none is executed, and sound ones raise no alarm."""

from __future__ import annotations

import collections
import datetime
import importlib.util
import os
import pathlib
import pickle
import resource
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from checks.small_set import SmallSet
from checks.ultralytics.checkpoint_bytes import called, legacy, named, program, text, zipped
from checks.ultralytics.hostile_checkpoints import checkpoints
from liftgate.backends.sandbox import sandbox_environment
from liftgate.checks.run import run
from liftgate.checks.ultralytics.allowed_names import ALLOWED, CREATED, GlobalName
from liftgate.checks.ultralytics.checkpoints import Checkpoint, read_checkpoint
from liftgate.checks.ultralytics.model_description import hostile_parts
from liftgate.errors import DataError

MARK = Path("/mark")  # what hostile checkpoints would write, where they are not loaded
HOSTILE = dict(checkpoints(MARK))
LAYERS = [[-1, 1, "C2f", [64, True]], [[16, 19], 1, "v10Detect", ["nc"]]]
_ABSENT = importlib.util.find_spec("ultralytics") is None


def test_there_are_sixty_of_twelve_kinds() -> None:
    assert len(HOSTILE) >= 60
    assert len({name.split(":")[0] for name in HOSTILE}) >= 12


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_checkpoint_is_called_harmless(name: str, small: SmallSet) -> None:
    (small.root / "w.pt").write_bytes(HOSTILE[name])
    for _ in range(2):  # the first look also imports what it needs
        begun = time.process_time()
        findings = run(small.subject(weights="w.pt"), select=["weights"]).findings
        spent = time.process_time() - begun
    assert spent < 2
    assert {finding.severity for finding in findings if finding.id in ("weights.untrusted", "weights.unreadable")} == {
        "error"
    }


def test_looking_at_them_takes_three_hundred_megabytes_at_most(tmp_path: Path) -> None:
    for number, data in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.pt").write_bytes(data)
    code = """
import re, sys
from pathlib import Path
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.errors import DataError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        assert read_checkpoint(path).hostile, path
    except DataError:
        pass
# Of this program alone: ru_maxrss counts the process that started it too.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.promise
@pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")
def test_none_is_executed_where_weights_are_loaded(tmp_path: Path) -> None:
    """The sealed child loads with Ultralytics' own function; plain unpickling of the same files writes the mark.

    Bombs and slow files are refused there too, in 2 s and 300 MB each.
    """
    mark = tmp_path / "mark"
    folder = tmp_path / "weights"
    folder.mkdir()
    hostile = dict(checkpoints(mark))
    for number, data in enumerate(hostile.values()):
        (folder / f"{number}.pt").write_bytes(data)
    code = """
import resource, sys, time
from pathlib import Path
from liftgate.backends.ultralytics.safe_loading import demand_safe_loading
from ultralytics.nn.tasks import load_checkpoint
demand_safe_loading()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    begun = time.process_time()
    try:
        load_checkpoint(str(path))
    except (Exception, SystemExit):
        if time.process_time() - begun > 2:
            raise SystemExit(f"{path} took {time.process_time() - begun:.1f} s")
        continue
    raise SystemExit(f"{path} was loaded")
more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
if more > 300:
    raise SystemExit(f"{more} MB")
"""
    env = sandbox_environment(tmp_path / "home", os.environ)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    assert not mark.exists()
    unsafe = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    (tmp_path / "bare.pkl").write_bytes(hostile["legacy: bare pickle"])
    subprocess.run([sys.executable, "-c", unsafe, str(tmp_path / "bare.pkl")], capture_output=True)
    assert mark.exists(), "the attack works where nobody looks"


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")
def test_where_safe_loading_is_off_nothing_is_loaded(tmp_path: Path) -> None:
    env = sandbox_environment(tmp_path / "home", os.environ) | {"ULTRALYTICS_SAFE_LOAD": "0"}
    code = "from liftgate.backends.ultralytics.safe_loading import demand_safe_loading; demand_safe_loading()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode != 0 and "weights would be loaded without protection" in done.stderr


def sound() -> dict[str, bytes]:
    layer = named("torch.nn.modules.conv:Conv2d", 2) + b")\x81}" + text("training") + b"\x88sb"
    forward = named("builtins:getattr", 2) + b"(" + layer + text("forward") + b"tR"
    storage = b"(" + text("storage") + named("torch:FloatStorage", 2) + text("0") + text("cpu") + b"K\x04tQ"
    tensor = named("torch._utils:_rebuild_tensor_v2", 2) + b"(" + storage + b"K\x00))\x89" + _ordered() + b"tR"
    arguments = named("ultralytics.utils:IterableSimpleNamespace", 2) + b")R}" + text("task") + text("detect") + b"sb"
    values = [types.SimpleNamespace(imgsz=64), collections.OrderedDict(a=1), {1, 2}, b"x"]
    values += [datetime.datetime(2026, 1, 2), pathlib.PurePosixPath("a/b")]
    return {
        "layer": zipped(program(layer, 2)),
        "forward of a layer": zipped(program(forward, 2)),
        "tensor": zipped(program(tensor, 2)),
        "tensor, before torch 1.6": legacy(program(tensor, 2)),
        **{f"values {protocol}": zipped(pickle.dumps(values, protocol)) for protocol in (0, 1, 2, 3, 4, 5)},
        "activation": zipped(pickle.dumps({"yaml": {"activation": "nn.LeakyReLU(0.1, inplace=True)"}})),
        "arguments of a training that was not finished": zipped(program(arguments, 2)),
        "a head of modules": zipped(program(b"}(" + text("head") + layer + text("backbone") + layer + b"\x85u", 2)),
        "layers": zipped(pickle.dumps({"yaml": {"backbone": [[-1, 1, "nn.Conv2d", [3]]], "head": LAYERS}})),
        "state dict": zipped(pickle.dumps({"state": collections.defaultdict(list, {0: [1.0]})}, 2)),
    }


def _ordered() -> bytes:
    return named("collections:OrderedDict", 2) + b")R"


@pytest.mark.parametrize("name", sound())
def test_sound_checkpoints_raise_no_alarm(name: str, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(sound()[name])
    found = read_checkpoint(tmp_path / "w.pt")
    assert (found.hostile, found.unknown) == ((), ())


def test_a_class_of_another_package_is_a_warning_until_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(zipped(program(named("my_layers:Attention", 2) + b")\x81", 2)))
    assert read_checkpoint(tmp_path / "w.pt") == Checkpoint(("my_layers.Attention",), unknown=("my_layers.Attention",))
    (tmp_path / "c.pt").write_bytes(zipped(program(called("my_layers:Attention", text("x"), 2), 2)))
    assert read_checkpoint(tmp_path / "c.pt").hostile == ("my_layers.Attention()",)


@pytest.mark.train
@pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")
def test_every_layer_of_the_installed_torch_and_ultralytics_is_allowed(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, torch, ultralytics.nn.modules, ultralytics.nn.tasks
for package in (torch.nn.modules, ultralytics.nn.modules):
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__ and issubclass(value, torch.nn.Module):
                print(module.__name__, name)
"""
    env = sandbox_environment(tmp_path / "home", os.environ)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    names = {GlobalName(*line.split()) for line in done.stdout.splitlines() if line.count(" ") == 1}
    assert len(names) > 200
    assert not names - CREATED


def test_no_allowed_name_has_dots_to_follow() -> None:
    assert all("." not in name.attribute for name in ALLOWED)


@pytest.mark.parametrize("activation", ["nn.SiLU()", "torch.nn.ReLU()", "nn.LeakyReLU(0.1)", "nn.ELU(alpha=1.0)"])
def test_a_model_description_of_plain_layers_is_harmless(activation: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        f"activation: {activation}\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n  - [-1, 1, nn.Upsample, [2]]\n"
    )
    assert hostile_parts(path) == ()


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("activation: exec('import os')", "activation: exec('import os')"),
        ("activation: nn.SiLU().__class__", "activation: nn.SiLU().__class__"),
        ("activation: nn.SiLU(print(1))", "activation: nn.SiLU(print(1))"),
        ("activation: [nn.SiLU()]", "activation: ['nn.SiLU()']"),
        ("backbone: [[-1, 1, check_requirements, [evil]]]", "backbone: check_requirements"),
        ("head: [[-1, 1, torch_safe_load, [w.pt]]]", "head: torch_safe_load"),
        ("head: [[-1, 1, nn.Module.__init__, []]]", "head: nn.Module.__init__"),
    ],
)
def test_what_a_model_description_would_run_is_an_error(line: str, part: str, small: SmallSet) -> None:
    (small.root / "m.yaml").write_text(f"{line}\n")
    assert hostile_parts(small.root / "m.yaml") == (part,)
    (found,) = run(small.subject(weights="m.yaml"), select=["weights.untrusted"]).findings
    assert (found.severity, part in found.message) == ("error", True)


def test_a_broken_model_description_is_unreadable(small: SmallSet) -> None:
    (small.root / "m.yaml").write_text("a: [")
    (found,) = run(small.subject(weights="m.yaml"), select=["weights.unreadable", "weights.untrusted"]).findings
    assert found.id == "weights.unreadable"
    with pytest.raises(DataError, match="cannot be read"):
        hostile_parts(small.root / "m.yaml")


def test_real_checkpoints_raise_no_alarm_and_are_read_at_once(fixtures: Path) -> None:
    for path in sorted((fixtures / "weights").glob("*.pt")):
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        found = read_checkpoint(path)
        assert (found.hostile, found.unknown) == ((), ())
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun < 2
