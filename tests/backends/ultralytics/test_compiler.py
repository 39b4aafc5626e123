"""A child process starts without torch's compiler, steps to the same bits, and gets the real one where it is used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap

import pytest

_ABSENT = importlib.util.find_spec("torch") is None
pytestmark = [pytest.mark.train, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]

_LATE = "from liftgate.backends.ultralytics.compiler import import_compiler_late\nimport_compiler_late()"
_STEPS = """
    import hashlib, sys, torch
    torch.use_deterministic_algorithms(True, warn_only=True)
    print(torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    names = ("SGD", "AdamW", "Adam", "NAdam", "RMSprop", "RAdam", "Adamax")
    for kind in (getattr(torch.optim, name) for name in names):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1))
        optimizer = kind(model[0].parameters(), lr=0.01)
        optimizer.add_param_group({"params": list(model[2].parameters()), "lr": 0.1})
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.rand(11, 7)).square().sum().backward()
            optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        weights = b"".join(value.detach().numpy().tobytes() for value in model.parameters())
        print(kind.__name__, torch.is_grad_enabled(), hashlib.sha256(weights).hexdigest())
    torch.use_deterministic_algorithms(False)
    print(torch.are_deterministic_algorithms_enabled())
    print("torch._dynamo" in sys.modules)
"""


def _output(code: str) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_optimizers_step_to_the_same_bits_without_the_compiler() -> None:
    code = textwrap.dedent(_STEPS)
    usual, late = _output(code), _output(f"{_LATE}\n{code}")
    assert late[:-1] == usual[:-1] and len(late) == 10
    assert (usual[-1], late[-1]) == ("True", "False"), "torch's own steps import it: otherwise there is nothing to do"


def test_a_torchvision_that_imports_more_of_the_compiler_gets_it() -> None:
    code = """
        import sys
        from liftgate.backends.ultralytics import compiler
        sys.modules.update({name: compiler._StandIn(name) for name in ("torch._dynamo", "torch._dynamo.utils")})
        from torch._dynamo.utils import is_compile_supported
        print(type(sys.modules["torch._dynamo"]).__name__)
        import torch._dynamo.config
        print(type(sys.modules["torch._dynamo"]).__name__, torch._dynamo.config.__name__)
    """
    assert _output(textwrap.dedent(code)) == ["_StandIn", "module torch._dynamo.config"]


def test_what_uses_the_compiler_later_gets_the_real_one() -> None:
    code = """
        import sys, torch, torchvision
        print("torch._dynamo" in sys.modules)
        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 30, 30]])
        print(torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist())
        print(torchvision.ops.roi_align(torch.ones(1, 1, 20, 20), [boxes[:1]], output_size=1).item())
        print(torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1)).item())
        from torch._dynamo.utils import is_compile_supported
        import torchvision.ops.roi_align
        late = sys.modules["torchvision.ops.roi_align"].is_compile_supported
        print(late("cpu") == is_compile_supported("cpu"), "stand" in repr(sys.modules["torch._dynamo"]).lower())
    """
    assert _output(f"{_LATE}\n{textwrap.dedent(code)}") == ["False", "[0, 2]", "1.0", "1.0", "True False"]
