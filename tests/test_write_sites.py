"""Every function that writes is on the list of those that a full disk and a power cut are tried at.

The list, benchmarks/write_sites.txt, is a recording of all commands of tests/every_verb.py:
`PYTHONPATH=src:tests python -P benchmarks/faulty_disk.py --sites`. The functions are looked for in the source, so that
a new one fails here until a command reaches it, or until it says here who tries it.
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
CACHE, TRAINER, EXPORTER = (
    "a cache: it goes on without",
    "the real trainer: tests/backends/ultralytics",
    "a real export",
)
PLAIN = "nothing in the function catches the system's error, which the command line explains"
OTHERWISE = {
    "backends/sandbox.py:_place_fonts": CACHE,
    "backends/sidecar.py:restore_files": PLAIN,
    "backends/ultralytics/atomic_checkpoint.py:save_model": TRAINER,
    "backends/ultralytics/atomic_checkpoint.py:stripped": TRAINER,
    "backends/ultralytics/exporter.py:export": EXPORTER,
    "backends/ultralytics/predictor.py:predict": TRAINER,
    "backends/ultralytics/safe_loading.py:demand_safe_loading": TRAINER,
    "checks/fixes/study_fixes.py:_write_groups": PLAIN,
    "checks/fixes/study_fixes.py:fix_study": "like checks/fixes/dataset_fixes.py: what was written is deleted",
    "checks/images/fact_cache.py:put": CACHE,
    "checks/rule_pages.py:write": "for developers",
    "data/core/archive.py:_write_member": "tests/test_full_disk.py",
    "data/core/archive.py:unpack": "tests/test_full_disk.py",
    "data/core/fingerprint.py:_remember": CACHE,
    "data/formats/darknet.py:read_zip": PLAIN,
    "data/grouping/groups.py:write_groups": PLAIN,
    "data/prelabels/corrected.py:_read": PLAIN,
    "data/prelabels/server.py:_client": PLAIN,
    "data/prelabels/server.py:pull": PLAIN,
    "data/production_log/live.py:_change": "tests/test_full_disk.py",
    "data/production_log/live.py:_commit": "tests/test_full_disk.py",
    "data/remote/roboflow.py:_download": "tests/data/remote/test_roboflow.py",
    "data/remote/roboflow.py:_unpack_into": PLAIN,
    "data/remote/roboflow.py:fetch": PLAIN,
    "data/remote/roboflow.py:unpack_export": PLAIN,
    "deploy/export/quantise.py:quantise": EXPORTER,
    "deploy/export/target.py:take_result": PLAIN,
    "deploy/registry/signing.py:sign_version": "needs the extra `sign`",
    "deploy/shadow/feeder.py:__init__": "told as a problem of the shadow test, by its `_watch`",
    "deploy/shadow/pairs.py:add": "ends the challenger's process, whose last line `status` shows",
    "deploy/shadow/request.py:write_state": "told as a problem of the shadow test, by its `_watch`",
    "deploy/shadow/worker.py:_keep": "ends the challenger's process, whose last line `status` shows",
    "engines/slurm.py:__init__": PLAIN,
    "kernels/compiler.py:_cached_or_compiled": CACHE,
    "kernels/compiler.py:link": CACHE,
    "ledger/runs.py:fail": PLAIN,
    "pipeline/control/stop_request.py:request_stop": PLAIN,
    "pipeline/exporting.py:_copy": EXPORTER,
    "pipeline/exporting.py:_float_model": EXPORTER,
    "pipeline/exporting.py:_make_int8": EXPORTER,
    "pipeline/exporting.py:make": EXPORTER,
    "pipeline/exporting.py:write_exports": EXPORTER,
    "pipeline/model_predictions.py:predict_checkpoint": TRAINER,
    "pipeline/steps/probing.py:_write_tree": PLAIN,
    "pipeline/steps/smoke.py:smoke": PLAIN,
    "pipeline/steps/speed.py:work": PLAIN,
    "pipeline/steps/stage_run.py:_continue_stopped_run": PLAIN,
    "reporting/prediction_page.py:render_predictions": PLAIN,
    "services/export_proof.py:prove_exports": PLAIN,
    "study/schema.py:main": "for developers",
    "training/events.py:_truncate_incomplete_line": PLAIN,
    "training/launch.py:_run_once": PLAIN,
    "training/pause_request.py:make": "it returns whether it was made, and the caller says so",
}
"""Function → who tries it, or what it comes to, where no command of the list reaches it"""


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


def test_a_full_disk_is_tried_at_every_function_that_writes() -> None:
    unknown = set(writing_functions()) - recorded() - set(OTHERWISE)
    assert not unknown, "no command of tests/every_verb.py reaches them: add one, and record again"


def test_what_is_left_to_the_command_line_is_caught_nowhere_before() -> None:
    for place, why in OTHERWISE.items():
        if why == PLAIN:
            file, _, name = place.partition(":")
            tree = ast.parse((SOURCE / file).read_text())
            found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == name]
            assert found and not any(map(catches, found)), place


def test_the_list_names_only_what_is_there() -> None:
    found = set(writing_functions())
    assert set(OTHERWISE) <= found - recorded()
