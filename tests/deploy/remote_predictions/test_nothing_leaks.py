"""What `ask` sends and keeps: pictures of the data set go out, and no key comes back into a file or a message."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import itertools
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import PIL.Image
import pytest

from deploy.remote_predictions.model_server import ModelServer, say
from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.deploy.remote_predictions.secret_mask import SecretMask
from liftgate.deploy.remote_predictions.sendable_images import NotAPicture, own_folders, require_picture
from liftgate.testing.data import yolo_folder

KEY = "sk-L1ve/9f+2b=Q"
PASSWORD = "hunter2-and-more"
VALUES = {
    "bearer": f"Bearer {KEY}",
    "plain": KEY,
    "basic": "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode(),
}
SECRETS = (KEY, PASSWORD, VALUES["basic"].removeprefix("Basic "))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    made = ModelServer()
    yield made
    made.close()


@pytest.fixture
def ask(tmp_path: Path, server: ModelServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the verb on a data.yaml; returns the exit code and everything that was printed."""
    mapping = tmp_path / "m.yaml"
    mapping.write_text("boxes: found.*.box\nscores: found.*.p\nclasses: found.*.label\n")

    def run(truth: Path, *more: str, out: str = "out/api.json") -> tuple[int, str]:
        words = ["ask", "--truth", str(truth), "--api-url", server.url, "--mapping", str(mapping), "--out"]
        code = main([*words, str(tmp_path / out), "--tries", "1", "--timeout", "5", *more])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return run


def spellings(secret: str) -> list[str]:
    """A secret as servers echo it: literal, in JSON, JavaScript, URLs, HTML, base64 and hexadecimal."""
    return [
        secret,
        secret.upper(),
        secret[::-1],
        json.dumps(secret).strip('"'),
        secret.replace("/", "\\/"),
        "".join(f"\\u{ord(character):04x}" for character in secret),
        "".join(f"\\u{ord(character):04X}" for character in secret),
        "".join(f"\\x{ord(character):02x}" for character in secret),
        quote(secret, safe=""),
        quote(quote(secret, safe=""), safe=""),
        "".join(f"%{ord(character):02x}" for character in secret),
        html.escape(secret),
        "".join(f"&#{ord(character)};" for character in secret),
        "".join(f"&#x{ord(character):x};" for character in secret),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"x-{secret}-y".encode()).decode(),
        base64.urlsafe_b64encode(f"{{'Authorization': '{secret}'}}".encode()).decode(),
        secret.encode().hex(),
    ]


def forms_of(text: str) -> Iterator[str]:
    """A text as a reader could decode it."""
    yield text
    with contextlib.suppress(ValueError):
        yield json.dumps(json.loads(text), ensure_ascii=False)
    yield html.unescape(text)
    yield from (text.encode().decode("unicode_escape", "ignore"),) if "\\" in text else ()


def leaks(text: str) -> list[str]:
    found = [secret for secret in SECRETS for form in forms_of(text) if secret.lower() in form.lower()]
    return found + [code for secret in SECRETS for code in spellings(secret)[14:] if code[6:-8] in text]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("place", ["word", "sentence", "key", "json in json"])
def test_a_secret_is_masked_in_every_spelling(value: str, place: str) -> None:
    mask = SecretMask([value])
    secret = {VALUES["basic"]: PASSWORD}.get(value, KEY)
    for spelling in spellings(secret):
        text = {"word": spelling, "sentence": f"you sent {spelling}, no?", "key": f'{{"{spelling}": 1}}'}.get(
            place, json.dumps(json.dumps({"a": spelling}))
        )
        assert leaks(mask.text(text)) == [], spelling
        assert leaks(json.dumps(mask.value({"found": [spelling, {spelling: text}]}))) == [], spelling


def test_what_is_no_secret_is_left_as_it_is() -> None:
    answer = {"found": [{"label": "dog", "box": [1, 2.5, 3, 4], "p": 0.9, "who": None, "ok": True}], "n": 100000}
    assert SecretMask([f"Bearer {KEY}"]).value(answer) == answer
    assert SecretMask(["v1"]).text("API v1") == "API v1", "too short to be a secret"
    assert SecretMask([]).text(KEY) == KEY
    assert SecretMask(["1234567890"]).value([1234567890, 12]) == ["…", 12]


BOX = {"box": [1, 2, 3, 4], "p": 1}
HOW: dict[str, Callable[[BaseHTTPRequestHandler, str, str], None]] = {
    "in the answer": lambda to, text, _: say(to, 200, json.dumps({"found": [], "echo": text})),
    "as a class": lambda to, text, _: say(to, 200, json.dumps({"found": [BOX | {"label": text}]})),
    "as a key": lambda to, text, _: say(to, 200, json.dumps({"found": [], text: {text: [text]}})),
    "raw in JSON": lambda to, text, _: say(to, 200, f'{{"found": [], "echo": "{text}"}}'),
    "no JSON": lambda to, text, _: say(to, 200, f"<html>{text}</html>"),
    "401": lambda to, text, _: say(to, 401, f"bad key {text}"),
    "422": lambda to, text, _: say(to, 422, f"{'x' * 190}{text}"),
    "500": lambda to, text, _: say(to, 500, text),
    "redirect": lambda to, text, other: say(to, 307, "", Location=f"{other}?key={quote(text)}"),
    "redirect here": lambda to, text, _: say(to, 302, "", Location=f"/next/{quote(text)}"),
    "broken status line": lambda to, text, _: broken(to, text),
}  # fmt: skip


def broken(handler: BaseHTTPRequestHandler, text: str) -> None:
    handler.wfile.write(f"{text}\r\n\r\n".encode())
    handler.close_connection = True


def test_sixty_requests_to_a_hostile_server_leak_nothing(
    tmp_path: Path, server: ModelServer, ask: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"val/{number}.png" for number in range(4)]
    truth = yolo_folder(tmp_path / "data", dict.fromkeys(names, "1 .5 .5 .5 .5\n"))
    pictures = {path.read_bytes() for path in (tmp_path / "data").rglob("*.png")}
    (tmp_path / "data" / "private.txt").write_text("not a picture")
    other = ModelServer()  # where redirects lead
    whole = itertools.cycle(
        (name, spelled) for name, secret in (("bearer", KEY), ("basic", PASSWORD)) for spelled in spellings(secret)
    )
    printed: list[str] = []
    try:
        for number, how in zip(range(1000), itertools.cycle(HOW.values()), strict=False):
            if len(server.requests) >= 60:
                break
            name, spelled = next(whole)
            monkeypatch.setenv("API_KEY", VALUES[name])

            def act(handler: BaseHTTPRequestHandler, how: Any = how, spelled: str = spelled) -> bool:
                how(handler, spelled, other.url)
                return False

            server.script.extend([act] * 4)
            _, text = ask(truth, "--header", "Authorization=API_KEY", "--partial", out=f"out/{number}.json")
            server.script.clear()
            printed.append(text)
    finally:
        other.close()
    assert len(server.requests) >= 60
    assert other.requests == [], "a redirect to another host was followed"
    assert all(request["fields"]["image"] in pictures for request in server.requests)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix == ".json"]
    assert len(files) > 10
    stored = {path.name: path.read_text("utf-8", "replace") for path in files}
    assert {name: found for name, text in stored.items() if (found := leaks(text))} == {}
    assert [found for text in printed if (found := leaks(text))] == []
    assert leaks(f"a {KEY}") and leaks(json.dumps(KEY)) and leaks(spellings(PASSWORD)[15]), "leaks are seen"


def outside(tmp_path: Path) -> Path:
    """A picture that is none of the data set's business."""
    path = tmp_path / "home" / "passport.png"
    path.parent.mkdir()
    PIL.Image.new("RGB", (64, 48), "red").save(path)
    return path


def link_to(tmp_path: Path, truth: Path, private: Path) -> None:
    (truth.parent / "images/val/b.png").symlink_to(private)
    (truth.parent / "labels/val/b.txt").write_text("")


def link_to_the_folder(tmp_path: Path, truth: Path, private: Path) -> None:
    folder = truth.parent / "images" / "val"
    folder.rename(tmp_path / "home" / "val")
    folder.symlink_to(tmp_path / "home" / "val")


def absolute_line(tmp_path: Path, truth: Path, private: Path) -> None:
    (truth.parent / "val.txt").write_text(f"./images/val/a.png\n{private}\n")
    truth.write_text(truth.read_text().replace("images/val", "val.txt"))


def line_with_dots(tmp_path: Path, truth: Path, private: Path) -> None:
    (truth.parent / "val.txt").write_text("./images/val/a.png\n../home/passport.png\n")
    truth.write_text(truth.read_text().replace("images/val", "val.txt"))


def other_root(tmp_path: Path, truth: Path, private: Path) -> None:
    (private.parent / "images" / "val").mkdir(parents=True)
    private.rename(private.parent / "images" / "val" / "passport.png")
    (private.parent / "labels" / "val").mkdir(parents=True)
    (private.parent / "labels" / "val" / "passport.txt").write_text("1 .5 .5 .5 .5\n")
    lines = [line for line in truth.read_text().splitlines() if not line.startswith("path:")]
    truth.write_text("\n".join([f"path: {private.parent}", *lines]) + "\n")


@pytest.mark.parametrize("trick", [link_to, link_to_the_folder, absolute_line, line_with_dots, other_root])
def test_an_image_outside_the_data_set_is_sent_only_from_a_folder_that_is_named(
    tmp_path: Path, server: ModelServer, ask: Callable[..., tuple[int, str]], trick: Any
) -> None:
    truth = yolo_folder(tmp_path / "data", {"val/a.png": "1 .5 .5 .5 .5\n"})
    private = outside(tmp_path)
    trick(tmp_path, truth, private)
    code, text = ask(truth)
    assert (code, server.requests) == (2, [])
    assert "outside the data set's own folders" in text and f"--allow-folder {tmp_path / 'home'}" in text
    for path in tmp_path.rglob("*.png"):
        server.knows(path, {"found": []})
    assert ask(truth, "--allow-folder", str(tmp_path / "home"))[0] == 0
    assert server.requests


@pytest.mark.parametrize(
    "content", [b"", b"root:x:0:0\n" * 50, b"\x89PNG\r\n\x1a\n" + b"secret" * 100, b"%!PS-Adobe-3.0 EPSF-3.0\n", None]
)
def test_a_file_that_does_not_decode_as_a_picture_is_not_sent(
    tmp_path: Path, server: ModelServer, ask: Callable[..., tuple[int, str]], content: bytes | None
) -> None:
    truth = yolo_folder(tmp_path / "data", {f"val/{name}.png": "1 .5 .5 .5 .5\n" for name in "abcdefg"})
    for name in "bcdef":  # more than make an API count as down
        path = truth.parent / f"images/val/{name}.png"
        path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    for path in (truth.parent / "images").rglob("*.png"):
        server.knows(path, {"found": []})
    code, text = ask(truth)
    assert code == 1 and "does not decode as a picture" in text
    code, _ = ask(truth, "--partial")
    assert code == 0
    sent = {request["fields"]["image"] for request in server.requests}
    assert sent == {(truth.parent / f"images/val/{name}.png").read_bytes() for name in "ag"}


def test_a_picture_of_every_format_that_detectors_take_may_be_sent() -> None:
    for form in ("BMP", "JPEG", "PNG", "TIFF", "WEBP"):
        out = io.BytesIO()
        PIL.Image.new("RGB", (8, 8)).save(out, form)
        require_picture(out.getvalue())
    with pytest.raises(NotAPicture):
        require_picture(b"GIF89a")


def test_images_beside_a_coco_file_are_its_own(tmp_path: Path) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "annotations").mkdir()
    PIL.Image.new("RGB", (64, 48)).save(tmp_path / "set" / "images" / "a.png")
    source = tmp_path / "set" / "annotations" / "instances_val.json"
    row = {"id": 1, "file_name": "a.png", "width": 64, "height": 48}
    source.write_text(json.dumps({"images": [row], "annotations": [], "categories": [{"id": 1, "name": "dog"}]}))
    dataset: Dataset = read(source)
    assert own_folders(dataset) == (tmp_path / "set" / "annotations", tmp_path / "set" / "images")
    (tmp_path / "set" / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "set" / "images").symlink_to(tmp_path / "elsewhere")
    assert own_folders(read(source)) == (tmp_path / "set" / "annotations",), "a link that leads out is not"
