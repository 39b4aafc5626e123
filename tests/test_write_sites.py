"""Every function that writes is on the list of those that a full disk and a power cut are tried at.

The list, benchmarks/write_sites.txt, is a recording of all commands of tests/every_verb.py:
`PYTHONPATH=src:tests python -P benchmarks/faulty_disk.py --sites`. The functions are looked for in the source: a new
one that catches errors of the system fails here until a command reaches it, or until it says here what they come to.
One that catches none needs no trial: its error reaches the command line, which explains it (tests/test_full_disk.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "liftgate"
HELPERS = {"write_text", "write_bytes", "write_json", "replacing", "atomic_folder", "name_new_file", "write_hashed"}
"""Of files.py and the like; called by their bare names"""
METHODS = {"write_text", "write_bytes", "mkdir", "makedirs", "rename", "touch", "symlink_to", "hardlink_to", "link"}
METHODS |= {"copyfile", "copytree", "move", "fsync", "ftruncate", "NamedTemporaryFile", "TemporaryDirectory", "mkdtemp"}
SQL = ("INSERT", "CREATE", "UPDATE", "DELETE", "BEGIN IMMEDIATE")
LEFT_OUT = ("files.py", "locks.py", "testing/", "demo/")
"""What writes for all others; what tests and the demonstration write"""
KEPT = {
    "backends/ultralytics/safe_loading.py:demand_safe_loading": "the real trainer: tests/backends/ultralytics",
    "training/pause_request.py:make": "it returns whether it was made, and the caller says so",
}
"""Function that keeps an error of the system to itself → what it comes to, where no command of the list reaches it"""


def writes(call: ast.Call) -> bool:
    """Return whether a call makes or changes something on a disk."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in HELPERS or (function.id == "open" and _to_write(call))
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in METHODS:
        return True
    if function.attr == "replace":  # of a path: that of a text takes two
        return len(call.args) == 1 and not call.keywords
    if function.attr in ("open", "fdopen", "ZipFile"):
        return _to_write(call) or "O_CREAT" in ast.dump(call)
    statements = ("execute", "executemany", "executescript")
    return function.attr in statements and any(word in ast.dump(call) for word in SQL)


def _to_write(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return any(len(mode) < 4 and set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


def writing_functions() -> Iterator[str]:
    """Yield file:function of each that writes."""

    def walk(node: ast.AST, name: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else name
            if isinstance(child, ast.Call) and writes(child):
                yield inner
            yield from walk(child, inner)

    for path in sorted(SOURCE.rglob("*.py")):
        relative = path.relative_to(SOURCE).as_posix()
        if not relative.startswith(LEFT_OUT):
            for name in walk(ast.parse(path.read_text()), "<module>"):
                yield f"{relative}:{name}"


def catches(node: ast.AST) -> bool:
    """Return whether a function has a handler that may keep an error of the system to itself."""
    handlers = [one for one in ast.walk(node) if isinstance(one, ast.ExceptHandler)]
    kept = [one for one in handlers if not any(isinstance(inner, ast.Raise) for inner in ast.walk(one))]
    names = " ".join("" if one.type is None else ast.unparse(one.type) for one in kept)
    return bool({"OSError", "Exception", "BaseException"} & set(names.replace(",", " ").split()))


def recorded() -> set[str]:
    lines = (ROOT / "benchmarks" / "write_sites.txt").read_text().splitlines()
    return {line.partition("\t")[0] for line in lines}


def keeps_an_error(place: str) -> bool:
    """Return whether a function catches an error of the system; if not, the command line explains it."""
    file, _, name = place.partition(":")
    functions = [one for one in ast.walk(ast.parse((SOURCE / file).read_text())) if isinstance(one, ast.FunctionDef)]
    return any(catches(one) for one in functions if one.name == name)


def test_a_full_disk_is_tried_at_every_function_that_writes() -> None:
    found = set(writing_functions())
    unknown = {one for one in found - recorded() if keeps_an_error(one)} - set(KEPT)
    assert not unknown, "no command of tests/every_verb.py reaches them: add one, and record again"
    assert set(KEPT) <= found - recorded(), "the list names only what is there"
    assert len(found & recorded()) > 90
