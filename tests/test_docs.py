"""What the documentation names is there: links, files, modules, commands, options; and what stands twice agrees."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from liftgate.cli import VERBS
from liftgate.cli.data import SUBVERBS
from liftgate.errors import LiftgateError

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md"))
    if path.parent.name != "findings"
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def unfenced(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", unfenced(path.read_text("utf-8")), flags=re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in found]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", unfenced(page.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


FILE = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)+[\w.-]*|[a-z_]+\.(?:py|md))(?=[\s`,;:.)|]|$)")
"""A path with a slash in it, or a bare module or page"""
TOP = {"src", "docs", "tests", "benchmarks", "examples", "requirements"}


def paths_named(text: str) -> Iterator[str]:
    code = re.findall(r"`([^`\n]+)`", unfenced(text)) + re.findall(r"(?:tests|benchmarks|docs|src)/[\w./-]+", text)
    for piece in code:
        for match in FILE.finditer(piece):
            yield match[1].rstrip(".")


def is_there(name: str) -> bool:
    package = ROOT / "src" / "liftgate"
    if "/" not in name:
        return any(package.rglob(name)) or any(ROOT.glob(name)) or any((ROOT / "docs").rglob(name))
    return any((base / name).exists() for base in (ROOT, package, package.parent))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    rooms = {path.name for path in (ROOT / "src" / "liftgate").iterdir() if path.is_dir()} | TOP
    named = set(paths_named(page.read_text("utf-8")))
    ours = {
        name
        for name in named
        if (name.partition("/")[0] in rooms and "/" in name and (name.endswith((".py", ".md", "/")) or "." not in name))
        or (name.endswith(".py") and "/" not in name)
    }
    strange = {name for name in ours if not is_there(name)} - USERS_FILES
    assert strange == set()


USERS_FILES = {"data.py", "report/", "examples/runs/"}
"""Names that are of a user's files, or words with a slash between"""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_that_is_named_can_be_found(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in set(re.findall(r"\bliftgate(?:\.[a-z_]+)+\b", text)):
        if name.startswith(("liftgate.yaml", "liftgate.invalid")):
            continue
        module, attributes = name, []
        while True:
            try:
                found = importlib.util.find_spec(module)
            except ModuleNotFoundError:
                found = None
            if found is not None or "." not in module:
                break
            module, _, attribute = module.rpartition(".")
            attributes.insert(0, attribute)
        value = importlib.import_module(module)
        for attribute in attributes:
            assert hasattr(value, attribute), f"{name_of(page)}: {name}"
            value = getattr(value, attribute)


def commands(text: str) -> Iterator[str]:
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        if match := re.match(r"\s*\$ (?:[A-Z_]+=\S+ )*(liftgate .*)", line):
            yield match[1]
    for match in re.finditer(r"`(?:[A-Z_]+=\S+ )?(liftgate [a-z][^`]*)`", unfenced(joined)):
        yield match[1]


@cache
def parser_of(verb: str, subverb: str | None) -> argparse.ArgumentParser:
    module = importlib.import_module(f"liftgate.cli.data_{subverb}" if subverb else f"liftgate.cli.{verb}")
    parser = argparse.ArgumentParser(prog=verb, add_help=True)
    module.configure(parser)
    return parser


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= options_of(child)
    return found


def first_words(command: str) -> list[str]:
    text = re.split(r"\s+#|[|;…]|(?<!\{)→", command)[0]
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    wrong = []
    for command in commands(page.read_text("utf-8")):
        words = [word.strip("`,.:)") for word in first_words(command)][1:]
        for verb in words[0].split("/") if words else []:
            if verb.startswith("-") or not verb.isalpha():
                continue
            if verb not in VERBS:
                wrong.append(command)
                continue
            subverb = words[1] if verb == "data" and len(words) > 1 and words[1].isalpha() else None
            if subverb is not None and subverb not in SUBVERBS:
                wrong.append(command)
                continue
            known = options_of(parser_of(verb, subverb)) | {"--help", "-h"}
            options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            if missing := options - known:
                wrong.append(f"{command}: {', '.join(sorted(missing))}")
    assert wrong == []


def test_the_table_of_verbs_is_the_command_lines() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = {command.split()[1] for command in commands(readme) if len(command.split()) > 1}
    assert set(VERBS) - shown - {"demo", "logs", "stop"} == set(), "README shows every verb"


def test_extras_are_those_of_pyproject() -> None:
    extras = sorted(PROJECT["optional-dependencies"])
    readme = (ROOT / "README.md").read_text("utf-8")
    listed = re.search(r"extras: ([^)]*)\)", readme)
    assert listed is not None and sorted(re.findall(r"`(\w+)`", listed[1])) == extras
    for path in (*PAGES, *(ROOT / "src").rglob("*.py"), ROOT / "Makefile"):
        for named in re.findall(r"pip install '?\.\[([\w,]+)\]", path.read_text("utf-8")):
            assert set(named.split(",")) <= set(extras), name_of(path)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert set(re.findall(r"--extra (\w+)", makefile)) <= set(extras)


def test_the_version_of_python_is_that_of_pyproject() -> None:
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {least}+" in (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"Python {least} or newer" in makefile and f"({least.replace('.', ', ')})" in makefile


def test_templates_are_those_that_there_are() -> None:
    from liftgate.study import templates

    there = {path.parent.name for path in (ROOT / "src/liftgate/templates").glob("*/study.yaml.j2")}
    assert set(templates.TEMPLATES) == there
    readme = (ROOT / "README.md").read_text("utf-8")
    listed = re.search(r"Templates are ([^;]*);", readme)
    assert listed is not None and set(re.split(r", | and ", listed[1])) == there
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert all(name in re.sub(r"\s+", " ", changelog) for name in there)


def test_ultralytics_range_stands_in_one_place() -> None:
    (wanted,) = [line for line in PROJECT["optional-dependencies"]["train"] if line.startswith("ultralytics")]
    versions = re.findall(r"\d+(?:\.\d+)+", wanted)
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not re.search(r"ultralytics ?[><=]=? ?8", text), f"{name_of(path)}: derive the range from the package"
    for page in PAGES:
        for shown in re.findall(r"ultralytics ?>= ?([\d.]+)", page.read_text("utf-8"), flags=re.IGNORECASE):
            assert shown == versions[0], name_of(page)


def test_exit_codes_of_the_page_are_those_of_the_errors() -> None:
    import liftgate.errors as errors

    page = (ROOT / "docs/output.md").read_text("utf-8")
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, LiftgateError)]
    codes = {value.exit_code for value in classes} | set(errors.EXIT_CODES.values())
    listed = {int(code) for code in re.findall(r"\b(\d{1,3})\b", page)}
    assert codes <= listed


def test_the_glossary_names_things_that_exist() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 80
    for term, _, where in rows:
        for name in re.findall(r"`([\w/.]+\.(?:py|md))`", where):
            assert is_there(name), f"{term}: {name}"
        for file, symbol in re.findall(r"`([\w/.]+\.py)` (?:class |function )?`(\w+)`", where):
            text = (ROOT / "src" / "liftgate" / file).read_text("utf-8")
            assert re.search(rf"\b(?:class|def) {symbol}\b|^{symbol}\b", text, re.MULTILINE), f"{term}: {file} {symbol}"


def test_the_glossary_has_every_metric_and_every_word_of_a_verdict() -> None:
    from liftgate.study.vocabulary import METRICS

    text = (ROOT / "docs/glossary.md").read_text("utf-8") + (ROOT / "docs/metrics.md").read_text("utf-8")
    missing = [
        name for name in METRICS if name not in text and name.removeprefix("pose_").removeprefix("OKS-") not in text
    ]
    assert missing == []
    for word in ("PASS", "MARGINAL", "FAIL", "confounded", "design effect", "effective n", "draws of groups"):
        assert word in text


def test_the_tour_shows_the_tree_and_the_floors_as_they_are() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    tree = page.split("```")[1]
    folder, shown = "", set()
    for line in tree.splitlines()[2:]:
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        folder = folder if indent > 2 else name
        assert (ROOT / "src/liftgate" / (f"{folder}{name}" if indent > 2 else name)).exists(), line
        shown.add(name.rstrip("/"))
    top = {path.name for path in (ROOT / "src/liftgate").iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert top - shown == set()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    floors = next(one["layers"] for one in contracts if one.get("containers") == ["liftgate"])
    assert f"`{' > '.join(floors)}`" in page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_name_of_the_code_that_is_named_exists(page: Path) -> None:
    named = set(
        re.findall(r"`(_[A-Z][A-Z_]+|[A-Z][a-z]+(?:[A-Z][a-z]+)+|[a-z]+_[a-z_]+\(\))`", page.read_text("utf-8"))
    )
    sources = everything_in_src()
    assert {name for name in named if not re.search(rf"\b{re.escape(name.rstrip('()'))}\b", sources)} == set()


@cache
def everything_in_src() -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
