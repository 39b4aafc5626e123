"""Bad words and bad files: one clear error, the right exit code, and never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from liftgate.cli import VERBS, main
from liftgate.ledger import Ledger


def liftgate(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from liftgate.cli import main; sys.exit(main())", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "COLUMNS": "120"})


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    assert "fault in liftgate" not in done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = liftgate(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: liftgate")


def test_no_verb_loads_what_it_needs_before_it_is_asked_to_work() -> None:
    heavy = {"numpy", "numba", "scipy", "pydantic", "msgspec", "PIL", "jinja2", "yaml", "rich"}
    program = f"""
import contextlib, io, sys
from liftgate.cli import VERBS, main
for verb in VERBS:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([verb, "--help"]) == 0
    print(verb, *sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == list(VERBS), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["evalute"], "did you mean evaluate?"),
        (["data", "convret"], "did you mean convert?"),
        (["compare", "--claim", "eqal", "--truth", "a"], "did you mean equal?"),
        (["check", "x", "--grups=folder"], "did you mean --groups?"),
        (["demo", "--out", "x"], "the folder stands without an option: liftgate demo DIR"),
        (["size", "difference", "0.9", "0.95", "--to"], "liftgate size difference --help"),
        (["data", "convert"], "liftgate data convert --help"),
        ([], "liftgate --help"),
    ],
)
def test_a_word_that_nobody_knows_is_one_error_with_the_near_word(words: list[str], hint: str) -> None:
    done = liftgate(*words)
    assert done.returncode == 2
    assert one_error(done).splitlines()[-1] == f"hint: {hint}"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nowhere.yaml"),
        ("plan", "nowhere.yaml"),
        ("report", "nowhere.yaml"),
        ("check", "nowhere.yaml"),
        ("check", "."),
        ("ledger", "show", "nowhere.yaml"),
        ("evaluate", "--truth", "nowhere.json", "--predictions", "nowhere.json"),
        ("compare", "--truth", "a.json", "--control", "b.json", "--treatment", "c.json", "--metric", "mAP50"),
        ("data", "split", "nowhere", "--out", "x"),
        ("explain", "labels.zero_aera"),
        ("doctor", "nowhere"),
    ],
)
def test_what_is_not_there_is_one_clear_error(words: tuple[str, ...], tmp_path: Path) -> None:
    done = liftgate(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    one_error(done)
    assert not list(tmp_path.iterdir()), "nothing half-written"


@pytest.mark.parametrize("words", [["doctor"], ["status"]], ids=" ".join)
def test_a_mistyped_path_names_the_one_that_is_there(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.yaml").write_text("{}\n")
    assert main([*words, "pirces.yaml"]) == 2
    assert "did you mean prices.yaml?" in capsys.readouterr().err


def test_a_typo_in_a_study_names_line_key_and_the_near_word(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("study: a\nquestion: b\ntask: detcet\ndatasets: {}\narms: {}\nflow: []\n")
    done = liftgate("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "study.yaml:3" in done.stderr and "detect" in done.stderr


def test_truth_cut_in_the_middle_says_where(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"images": [{"id": 1, "file_na')
    (tmp_path / "found.json").write_text("[]")
    done = liftgate("evaluate", "--truth", "truth.json", "--predictions", "found.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "truth.json" in one_error(done)


def test_a_study_without_its_data_is_one_error(tmp_path: Path) -> None:
    done = liftgate("init", "s", "--template", "two-stage", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = liftgate("run", tmp_path / "s" / "study.yaml")
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr and "fault in liftgate" not in done.stderr


def test_json_is_alone_on_stdout(tmp_path: Path) -> None:
    truth = {"images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}], "annotations": []}
    (tmp_path / "truth.json").write_text(json.dumps({**truth, "categories": [{"id": 1, "name": "x"}]}))
    (tmp_path / "found.json").write_text("[]")
    done = liftgate("evaluate", "--truth", "truth.json", "--predictions", "found.json", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_images"] == 1


@pytest.mark.parametrize("verb", VERBS)
def test_an_error_of_any_verb_is_json_where_json_is_asked_for(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [verb, "nowhere.yaml", "--json", "--nonsense"]
    assert main(words) == 2
    said = capsys.readouterr()
    record = json.loads(said.out)
    assert record["exit_code"] == 2 and record["error"]["what"] in said.err
    assert record["error"].keys() == {"what", "where", "expected", "got", "hint"}


def test_a_check_that_cannot_read_its_data_prints_one_json_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere.yaml", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["findings"][0]["id"] == "data.path"


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = liftgate("demo", "file/below", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "file/below" in one_error(done) and "fault in liftgate" not in done.stderr


def test_a_closed_pipe_is_no_failure() -> None:
    program = f"{sys.executable} -c 'import sys; from liftgate.cli import main; sys.exit(main())'"
    done = subprocess.run(["sh", "-c", f"{program} explain | head -1"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("action", ["show", "verify"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x00\xff\xfe", b"SQLite format 3\x00", "another database"])
def test_a_file_that_is_no_ledger_is_not_called_untouched(action: str, content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE t (a)")
    before = path.read_bytes()
    done = liftgate("ledger", action, path)
    assert done.returncode == 2
    assert "ledger" in one_error(done)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_ledger_that_was_damaged_is_no_usage_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append("note", {"text": "hello"})
    ledger.path.write_bytes(b"hello")
    done = liftgate("ledger", "verify", ledger.path)
    assert done.returncode == 1
    assert "not a database" in one_error(done)


def test_a_path_that_no_disk_can_hold_is_the_callers_mistake(tmp_path: Path) -> None:
    done = liftgate("plan", "/" + "a" * 5000, cwd=tmp_path)
    assert "File name too long" in one_error(done)
    assert "hint: a shorter path" in done.stderr
    assert len(done.stderr) < 600


def test_a_full_disk_under_stdout_is_one_error_with_a_hint(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m liftgate explain >/dev/full"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "make room" in one_error(done)


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_end_no_command_and_put_no_talk_into_its_data(closed: str, tmp_path: Path) -> None:
    words = f"{sys.executable} -m liftgate check {tmp_path}/nowhere.yaml {closed}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
