"""Write what mkdocs builds the documentation's site from: `python docs/make_site.py FOLDER` (`make docs` does both).

The repository's pages are copied in their places, so that their links hold; the reference is made from the code.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from liftgate import api, data
from liftgate.cli import VERBS
from liftgate.cli.data import SUBVERBS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE")
FOLDERS = ("docs", "examples")


def write_site(folder: Path) -> None:
    """Write docs/ and mkdocs.yml into a folder; pages that its menu does not name come last, as `More`."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    known = set(_pages_of(config["nav"]))
    more = [f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))]
    config["nav"].append({"More": [page for page in more if page not in known] or ["LICENSE.md"]})
    write_pages(folder / "docs")
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def _pages_of(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    for one in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
        yield from _pages_of(one)


def write_pages(folder: Path) -> None:
    """Write all pages into a folder, which is emptied before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE.md")
    for name in PAGES:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.py", "runs", "__pycache__"))
    for record in (ROOT / "benchmarks").glob("*.txt"):  # records that pages link to
        (folder / "benchmarks").mkdir(exist_ok=True)
        shutil.copy(record, folder / "benchmarks")
    reference = folder / "docs" / "reference"
    reference.mkdir()
    (reference / "cli.md").write_text("\n".join(command_line()), encoding="utf-8")
    (reference / "python.md").write_text("\n".join(python_names()), encoding="utf-8")


def command_line() -> Iterator[str]:
    """Yield the lines of the command line's reference: the help of every verb."""
    yield "# Command line\n\nMade from the code. Exit codes and JSON: [output](../output.md).\n"
    for verb, about in VERBS.items():
        yield f"## liftgate {verb}\n\n{about[0].upper()}{about[1:]}.\n"
        if verb != "data":
            yield from _help(f"liftgate.cli.{verb}", f"liftgate {verb}")
            continue
        for subverb in SUBVERBS:
            yield f"### liftgate data {subverb}\n"
            yield from _help(f"liftgate.cli.data_{subverb}", f"liftgate data {subverb}")


def _help(module: str, name: str) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog=name)
    importlib.import_module(module).configure(parser)
    yield f"```text\n{parser.format_help().rstrip()}\n```\n"


def python_names() -> Iterator[str]:
    """Yield the lines of the reference of Python names: signature and docstring of each."""
    yield "# Python\n\nMade from the code. `import liftgate` has these names, `liftgate.data` those of the last part.\n"
    for title, table, room in (
        ("Functions", api.VERBS, api),
        ("Types", api.TYPES, api),
        ("liftgate.data", data.FUNCTIONS, data),
    ):
        yield f"## {title}\n"
        for name in sorted(table):
            value = getattr(room, name)
            yield f"### {name}\n"
            signature = f"{name}{inspect.signature(value)}" if inspect.isfunction(value) else f"class {name}"
            yield f"```python\n{signature}\n```\n\n```text\n{inspect.getdoc(value) or ''}\n```\n"


if __name__ == "__main__":
    write_site(Path(sys.argv[1]))
