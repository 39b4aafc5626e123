"""How the code is built: counts of files, functions, imports and untyped records, of one or two source folders.

    python -P benchmarks/house.py [BEFORE] AFTER [--quick]

BEFORE and AFTER are `src` folders; `pyproject.toml` and `tests` are looked for beside them. `--quick` leaves out what
has to run the code: the start-up and the calls against the imports. docs/benchmarks.md says what the rows mean.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path

MAX_PARAMETERS = 10
_ANY_LINE = re.compile(r"\b(Mapping|dict)\[str, Any\]")
_RECORDS = {"body", "result", "results"}
"""Names that a ledger entry's body and a step's result have."""
_FACE = ("__init__", "api", "cli", "services", "kernels")
"""Rooms whose functions may have more parameters: the public face takes keywords, a kernel takes arrays."""


class House:
    """The package `liftgate` below one `src` folder, read as text."""

    def __init__(self, source: Path) -> None:
        self.source, self.root = source.resolve(), source.resolve() / "liftgate"
        self.files = {self._module(path): path for path in sorted(self.root.rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.files.items()}

    def _module(self, path: Path) -> str:
        parts = path.relative_to(self.source).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def lines(self) -> list[str]:
        """Every line of every file."""
        return [line for path in self.files.values() for line in path.read_text(encoding="utf-8").splitlines()]

    @cached_property
    def functions(self) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Every function and method, with its module."""
        return [
            (name, node)
            for name, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Module → modules of liftgate that it imports anywhere, for the type checker too."""
        return {name: self._imported(name, ast.walk(tree)) for name, tree in self.trees.items()}

    @cached_property
    def imports_at_load(self) -> dict[str, set[str]]:
        """Module → modules of liftgate that are loaded with it: no imports in functions, none for the type checker."""
        return {name: self._imported(name, _run_at_load(tree)) for name, tree in self.trees.items()}

    def _imported(self, module: str, nodes: Iterator[ast.AST]) -> set[str]:
        found: set[str] = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in self.files else node.module for name in inside}
        return (found & self.files.keys()) - {module}

    @cached_property
    def longest_chain(self) -> list[str]:
        """The longest chain of modules that import each other when the first of them is loaded."""
        open_: set[str] = set()

        @cache
        def chain(module: str) -> tuple[str, ...]:
            open_.add(module)
            below = [chain(name) for name in sorted(self.imports_at_load[module]) if name not in open_]
            open_.discard(module)
            return (module, *max(below, key=len, default=()))

        return list(max(map(chain, self.files), key=len))

    @cached_property
    def circles(self) -> list[set[str]]:
        """Sets of modules that import each other, directly or not, imports for the type checker counted."""
        reached = {name: self.reached(name) for name in self.files}
        sets = {frozenset(other for other in reached[name] if name in reached[other]) for name in self.files}
        return [set(one) for one in sets if len(one) > 1]

    def reached(self, module: str) -> set[str]:
        """Return the modules that `module` imports, directly or not."""
        found: set[str] = set()
        waiting = [module]
        while waiting:
            new = self.imports[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    @cached_property
    def arrows_up(self) -> list[str]:
        """Imports from a floor to a higher one or to another room of the same floor.

        The package itself is on the floor of `api`, whose names it has; `__main__` and itself may import anything.
        """
        floors, meant = self._floors()

        def rank(module: str) -> tuple[int, str]:
            room = "api" if module == "liftgate" else _room(module)
            return floors.get(room, 0), room

        found = []
        for module, others in self.imports.items():
            floor, room = rank(module)
            for other in sorted(others if module not in ("liftgate", "liftgate.__main__") else ()):
                above, elsewhere = rank(other)
                arrow = f"{module} -> {other}"
                up = above < floor or (above == floor and elsewhere != room)
                if up and not any(fnmatch(arrow, pattern) for pattern in meant):
                    found.append(arrow)
        return found

    def _floors(self) -> tuple[dict[str, int], list[str]]:
        """Room → its floor, counted from the top, and the imports that the import-linter contract lets through."""
        document = tomllib.loads((self.source.parent / "pyproject.toml").read_text(encoding="utf-8"))
        contract = next(one for one in document["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
        named = [re.split(r"[|:]", layer.replace("liftgate.", "")) for layer in contract["layers"]]
        rooms = {room.strip(" ()"): floor for floor, rooms in enumerate(named) for room in rooms}
        return rooms, contract.get("ignore_imports", [])

    @cached_property
    def untyped_lines(self) -> int:
        """Lines with `Mapping[str, Any]` or `dict[str, Any]`."""
        return sum(bool(_ANY_LINE.search(line)) for line in self.lines)

    @cached_property
    def many_parameters(self) -> list[str]:
        """Functions of more than MAX_PARAMETERS parameters outside the public face and the kernels."""
        face = {"liftgate", "liftgate.api"} & self.files.keys()
        public = {word for name in face for word in re.findall(r"\w+", self.files[name].read_text(encoding="utf-8"))}
        return [
            f"{module}.{node.name}"
            for module, node in self.functions
            if _parameters(node) > MAX_PARAMETERS and _room(module) not in _FACE and node.name not in public
        ]

    @cached_property
    def string_reads(self) -> list[str]:
        """Lines that read an entry's body or a step's result by a string, but for a record's own (`self.body`)."""
        return sorted({f"{name}:{node.lineno}" for name, tree in self.trees.items() for node in _string_reads(tree)})

    @cached_property
    def private_names_in_tests(self) -> list[str]:
        """Private names of liftgate that tests import, read or patch."""
        tests = self.source.parent / "tests"
        return sorted({use for path in tests.rglob("*.py") for use in private_names(path)})


def private_names(path: Path) -> list[str]:
    """Return every use of a private name of a liftgate module in a test file: imports, attributes, patched names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [alias for node in imports if (node.module or "").startswith("liftgate") for alias in node.names]
    modules = {alias.asname or alias.name for alias in ours}
    used = [alias.name for alias in ours if _is_private(alias.name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            used += [ast.unparse(node)] if isinstance(node.value, ast.Name) and node.value.id in modules else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".setattr"):
            words = [word.value for word in node.args[:2] if isinstance(word, ast.Constant)]
            used += [str(word) for word in words if _is_private(str(word).rpartition(".")[2])]
    return [f"{path.name}: {name}" for name in used]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in ("_version", "_repr_html_")


def _run_at_load(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below `node` that run when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _run_at_load(child)


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([one for one in every if one.arg not in ("self", "cls")])


def _string_reads(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key, record = node.slice, node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            key, record = (node.args[0] if node.args else node), node.func.value
        else:
            continue
        while isinstance(record, ast.Subscript):
            record = record.value
        if ast.unparse(record) == "self.body":  # a typed record over an entry's body: the one place of its keys
            continue
        name = record.attr if isinstance(record, ast.Attribute) else record.id if isinstance(record, ast.Name) else ""
        if name in _RECORDS and isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield node


# Runs a study on the toy backend and prints every call from one module of liftgate into another.
_TRACED = """
import json, os, sys, tempfile
from pathlib import Path
import yaml
from liftgate import api
from liftgate.testing.backends import write_tree

folder = Path(tempfile.mkdtemp())
write_tree(folder / "scenes", train=24, held_out=12)
(folder / "start.yaml").write_text("nc: 2")
stage = {"weights": "start.yaml", "data": "scenes"}
study = {
    "study": "colours", "question": "Does a longer training lift it?", "backend": "toy",
    "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
    "arms": {"short": [{**stage, "recipe": {"epochs": 1, "lr0": 0.0001}}],
             "long": [{**stage, "recipe": {"epochs": 6, "lr0": 0.5}}]},
    "gates": {"lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.0}},
    "flow": ["check", "train", "lift"],
}
(folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
source = sys.argv[1] + os.sep
calls = set()

def module(frame):
    name = frame.f_code.co_filename
    if name.startswith(source) and name.endswith(".py"):
        return name[len(source):-3].replace(os.sep, ".").removesuffix(".__init__")

def trace(frame, event, _):
    if event == "call" and (called := module(frame)):
        frame = frame.f_back
        while frame is not None and not (caller := module(frame)):
            frame = frame.f_back
        if frame is not None and caller != called:
            calls.add((caller, called))

sys.setprofile(trace)
api.run(folder / "study.yaml")
sys.setprofile(None)
print(json.dumps(sorted(calls)))
"""


def calls_against_imports(house: House) -> list[str]:
    """Return the calls of a study's run, module → module, whose called module imports the calling one.

    Somebody who follows the run from study to verdict has to climb back up there. The rules of the catalogue, which
    their registry calls, are left out.
    """
    done = _run(house, "-c", _TRACED, str(house.source))
    calls = [(caller, called) for caller, called in json.loads(done.stdout) if ".checks.rules." not in f".{called}"]
    return [f"{caller} -> {called}" for caller, called in calls if caller in house.reached(called)]


def cpu_seconds(house: House, *arguments: str, repeat: int = 5) -> float:
    """Return the least processor time of a Python process with these arguments, in seconds."""
    taken = []
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _run(house, *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def _run(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-P", *arguments], {**os.environ, "PYTHONPATH": str(house.source)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env)


def _status(house: House) -> float:
    study = "study: a\nquestion: b\ntask: detect\ndatasets: {d: {path: d.yaml}}\narms: {a: {weights: yolo11n.pt}}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(
            study + "gates: {g: {arm: a, on: d.test, claims: [{metric: mAP50, at_least: 0.5}]}}\nflow: [g]\n"
        )
        return cpu_seconds(house, "-m", "liftgate", "status", str(path))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


STATIC: Mapping[str, Callable[[House], object]] = {
    "files": lambda house: len(house.files),
    "lines": lambda house: len(house.lines),
    "mean lines of a file": lambda house: round(len(house.lines) / len(house.files)),
    "functions": lambda house: len(house.functions),
    "mean lines of a function": lambda house: round(
        sum(_length(node) for _, node in house.functions) / len(house.functions), 1
    ),
    "import depth": lambda house: len(house.longest_chain),
    "circles, with imports for the type checker": lambda house: len(house.circles),
    "imports that run up or sideways": lambda house: len(house.arrows_up),
    "lines with `Mapping[str, Any]` or `dict[str, Any]`": lambda house: house.untyped_lines,
    "lines that read a record by a string": lambda house: len(house.string_reads),
    f"functions of more than {MAX_PARAMETERS} parameters": lambda house: len(house.many_parameters),
    "private names that tests reach for": lambda house: len(house.private_names_in_tests),
}
RUNNING: Mapping[str, Callable[[House], object]] = {
    "calls against the imports, study → verdict": lambda house: len(calls_against_imports(house)),
    "`import liftgate`, CPU s": lambda house: f"{cpu_seconds(house, '-c', 'import liftgate'):.2f}",
    "`from liftgate.api import run`, CPU s": lambda house: (
        f"{cpu_seconds(house, '-c', 'from liftgate.api import run'):.2f}"
    ),
    "`liftgate status`, CPU s": lambda house: f"{_status(house):.2f}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SRC")
    parser.add_argument("--quick", action="store_true", help="only what is counted in the text")
    parser.add_argument("--show", action="store_true", help="list what was counted in the last of them")
    args = parser.parse_args()
    houses = [House(source) for source in args.sources]
    print("| | " + " | ".join("before" if house is not houses[-1] else "after" for house in houses) + " |")
    print("|---|" + "---|" * len(houses))
    for name, count in (STATIC if args.quick else {**STATIC, **RUNNING}).items():
        print(f"| {name} | " + " | ".join(str(count(house)) for house in houses) + " |")
    if args.show:
        last = houses[-1]
        print("\nlongest chain: " + " > ".join(last.longest_chain))
        shown = {"circles": last.circles, "up or sideways": last.arrows_up, "parameters": last.many_parameters}
        shown |= {"string reads": last.string_reads, "private names": last.private_names_in_tests}
        for name, found in (shown if args.quick else shown | {"climbs": calls_against_imports(last)}).items():
            print(f"\n{name}:", *found, sep="\n  ")


if __name__ == "__main__":
    main()
