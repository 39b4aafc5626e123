"""Checkpoints that run something when they are loaded without care, or fill the machine: some hundred in 19 kinds.

Each that runs something writes the file `mark`.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

from checks.ultralytics.checkpoint_bytes import CALL, MAGIC, called, legacy, named, program, tarred, text, zipped


def checkpoints(mark: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `kind: variant` and the file's bytes."""
    touch, code = f"touch {mark}", f"open({str(mark)!r}, 'w').close()"
    yield from _plain_calls(touch, code)
    yield from _legacy_files(touch, code)
    yield from _dotted_names(touch, code)
    yield from _of_the_libraries(touch, code, mark)
    yield from _nested(touch, code)
    yield from _persistent_ids(touch)
    yield from _memo(touch)
    yield from _instructions(touch, code)
    yield from _replaced_methods(code)
    yield from _made_names(touch)
    yield from _activations(code)
    yield from _bombs(touch)
    yield from _slow()
    yield from _cut_off(touch)
    yield from _renamed(touch)
    yield from _double(touch)
    yield from _read_differently(touch)
    yield from _hidden(code)


def _plain_calls(touch: str, code: str) -> Iterator[tuple[str, bytes]]:
    for name in ("os:system", "posix:system", "os:popen", "subprocess:getoutput", "commands:getoutput", "pty:spawn"):
        for protocol in (2, 4):
            yield f"call: {name} {protocol}", zipped(program(called(name, text(touch), protocol), protocol))
    for name in ("builtins:exec", "builtins:eval", "__builtin__:execfile", "runpy:run_path", "code:InteractiveConsole"):
        yield f"call: {name}", zipped(program(called(name, text(code), 2), 2))


def _legacy_files(touch: str, code: str) -> Iterator[tuple[str, bytes]]:
    attack = program(called("os:system", text(touch), 2), 2)
    yield "legacy: model", legacy(attack)
    yield "legacy: model of protocol 4", legacy(program(called("builtins:exec", text(code)), 4))
    yield "legacy: keys", legacy(pickle.dumps({}, 2), keys=attack)
    yield "legacy: magic", legacy(pickle.dumps({}, 2), magic=attack)
    number = pickle.dumps(MAGIC, 2)
    yield (
        "legacy: magic after a call",
        legacy(pickle.dumps({}, 2), magic=number[:2] + called("os:system", text(touch), 2) + b"0" + number[2:]),
    )
    made = named("copyreg:_reconstructor", 2) + b"(" + named("builtins:int", 2) * 2 + number[2:-1] + b"tR"
    yield "legacy: magic made by a call", legacy(attack, magic=program(made, 2))
    yield "legacy: bare pickle", attack
    yield "legacy: bare pickle of protocol 0", f"cos\nsystem\n(S'{touch}'\ntR.".encode()
    yield "legacy: tar", tarred(sys_info=pickle.dumps({}, 2), pickle=attack, tensors=b"", storages=b"")
    yield "legacy: tar, storages", tarred(storages=attack, tensors=pickle.dumps(0, 2), pickle=pickle.dumps({}, 2))


def _dotted_names(touch: str, code: str) -> Iterator[tuple[str, bytes]]:
    for name in ("pathlib:os.system", "torch:os.system", "numpy:os.system", "ultralytics.nn.tasks:torch.os.system"):
        yield f"dotted: {name}", zipped(program(called(name, text(touch)), 4))
    for name in ("collections:_sys.modules.get", "torch.nn.modules.module:torch.hub.load", "torch._utils:sys.exit"):
        yield f"dotted: {name}", zipped(program(called(name, text(code)), 4))


def _of_the_libraries(touch: str, code: str, mark: Path) -> Iterator[tuple[str, bytes]]:
    install = ("ultralytics.utils.checks:check_requirements", "ultralytics.utils.downloads:safe_download")
    for name in (*install, "torch.hub:load", "torch.utils.cpp_extension:load", "torch.nn.modules.module:torch"):
        yield f"library: {name}", zipped(program(called(name, text("liftgate-does-not-exist")), 4))
    yield "library: torch.storage", zipped(program(called("torch.storage:_load_from_bytes", b"C\x00"), 4))
    yield "library: numpy load", zipped(program(called("numpy:load", text(str(mark))), 4))
    yield "library: numpy runstring", zipped(program(called("numpy.testing._private.utils:runstring", text(code)), 4))
    yield "library: model of a description", zipped(program(called("ultralytics.nn.tasks:DetectionModel", b"}"), 4))
    yield (
        "library: weights of torchvision",
        zipped(program(called("ultralytics.nn.modules.block:TorchVision", text("resnet18")), 4)),
    )


def _nested(touch: str, code: str) -> Iterator[tuple[str, bytes]]:
    attack = program(called("os:system", text(touch), 2), 2)
    inside = b"B" + struct.pack("<I", len(attack)) + attack
    for name in ("pickle:loads", "_pickle:loads", "torch.storage:_load_from_bytes", "marshal:loads", "dill:loads"):
        yield f"nested: {name}", zipped(program(called(name, inside), 4))


def _persistent_ids(touch: str) -> Iterator[tuple[str, bytes]]:
    call = called("os:system", text(touch), 2)
    yield "persistent id: made by a call", zipped(program(call + b"Q", 2))
    storage = b"(" + text("storage") + call + text("0") + text("cpu") + b"K\x01tQ"
    yield "persistent id: in a storage", zipped(program(storage, 2))
    yield "persistent id: text", zipped(program(b"Pos.system\n", 2))
    module = b"(" + text("module") + named("os:system", 2) + b"NNtQ" + text(touch) + CALL
    yield "persistent id: a function as a module", legacy(program(module, 2))


def _memo(touch: str) -> Iterator[tuple[str, bytes]]:
    yield (
        "memo: name by pieces",
        zipped(program(text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93" + text(touch) + CALL, 4)),
    )
    yield (
        "memo: put away and fetched",
        zipped(program(named("os:system", 2) + b"q\x050}q\x060h\x05" + text(touch) + CALL, 2)),
    )
    yield (
        "memo: overwritten",
        zipped(
            program(
                named("collections:OrderedDict", 2)
                + b"q\x00"
                + b"0"
                + named("os:system", 2)
                + b"q\x000h\x00"
                + text(touch)
                + CALL,
                2,
            )
        ),
    )


def _instructions(touch: str, code: str) -> Iterator[tuple[str, bytes]]:
    yield "instruction: INST", zipped(program(b"(" + text(touch) + b"ios\nsystem\n", 2))
    yield "instruction: OBJ", zipped(program(b"(" + named("os:system", 2) + text(touch) + b"o", 2))
    yield "instruction: NEWOBJ", zipped(program(named("subprocess:Popen", 4) + text(touch) + b"\x85\x81", 4))
    yield "instruction: NEWOBJ_EX", zipped(program(named("subprocess:Popen", 4) + text(touch) + b"\x85}\x92", 4))
    yield "instruction: INST of a model", zipped(program(b"(}iultralytics.nn.tasks\nDetectionModel\n", 2))
    yield "instruction: OBJ of a model", zipped(program(b"(" + named("ultralytics.nn.tasks:PoseModel", 2) + b"}o", 2))
    build = named("torch.nn.modules.module:Module", 2) + b"}" + text("forward") + named("builtins:exec", 2) + b"sb"
    yield "instruction: BUILD with a function", zipped(program(build, 2))
    patched = named("torch.nn.modules.module:Module", 2) + b"}" + text("training") + b"\x88sb"
    yield "instruction: BUILD of a class", zipped(program(patched, 2))
    yield (
        "instruction: reconstructor",
        zipped(
            program(
                named("copyreg:_reconstructor", 2)
                + b"("
                + named("os:_wrap_close", 2)
                + named("builtins:object", 2)
                + b"NtR",
                2,
            )
        ),
    )
    partial = called("functools:partial", named("os:system", 4)) + text(touch) + CALL
    yield "instruction: call of what a call returned", zipped(program(partial, 4))


def _replaced_methods(code: str) -> Iterator[tuple[str, bytes]]:
    """Attributes of an object with the names of the methods that loading looks up on it."""
    made = named("torch.nn.modules.container:Sequential", 4) + b")\x81"
    model = named("ultralytics.nn.tasks:DetectionModel", 4)
    description = b"}" + text("activation") + text(f"exec({code!r})") + b"s"
    yield "replaced: extend", zipped(program(made + b"}" + text("extend") + model + b"sb(" + description + b"e", 4))
    yield "replaced: append", zipped(program(made + b"}" + text("append") + model + b"sb" + description + b"a", 4))
    yield (
        "replaced: __setstate__",
        zipped(program(made + b"}" + text("__setstate__") + model + b"sb" + description + b"b", 4)),
    )


def _made_names(touch: str) -> Iterator[tuple[str, bytes]]:
    for kind, code in (("EXT1", b"\x82\x01"), ("EXT2", b"\x83\x01\x00"), ("EXT4", b"\x84\x01\x00\x00\x00")):
        yield f"registry: {kind}", zipped(program(code + text(touch) + CALL, 2))
    yield (
        "registry: add_extension",
        zipped(
            program(
                named("copyreg:add_extension", 2)
                + b"("
                + text("os")
                + text("system")
                + b"K\x01tR0\x82\x01"
                + text(touch)
                + CALL,
                2,
            )
        ),
    )
    joined = named("builtins:getattr", 4) + named("pathlib:Path", 4) + text("_accessor") + b"\x86R"
    yield "made: getattr", zipped(program(joined, 4))
    made = text("os") + called("builtins:bytes", text("system")) + b"\x93" + text(touch) + CALL
    yield "made: attribute of a call", zipped(program(made, 4))
    yield (
        "made: attrgetter",
        zipped(program(called("operator:attrgetter", text("system")) + named("os:path", 4) + CALL, 4)),
    )


def _activations(code: str) -> Iterator[tuple[str, bytes]]:
    for activation in (
        f"exec({code!r})",
        "__import__('os').system('true')",
        "nn.SiLU() if 1 else 0",
        "nn.Module.apply(1)",
    ):
        state = b"}" + text("yaml") + b"}" + text("activation") + text(activation) + b"ss"
        model = named("ultralytics.nn.tasks:DetectionModel", 2) + b")\x81" + state + b"b"
        yield f"activation: {activation[:20]}", zipped(program(model, 2))


def _bombs(touch: str) -> Iterator[tuple[str, bytes]]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w/data.pkl", "w") as stream:
        for _ in range(100):
            stream.write(bytes(1 << 20))
    yield "bomb: zip", out.getvalue()
    yield (
        "bomb: bytearray",
        zipped(program(called("builtins:bytearray", b"\x8a\x05" + (10**11).to_bytes(5, "little")), 2)),
    )
    forever = named("builtins:range", 2) + b"\x8a\x05" + (10**11).to_bytes(5, "little") + CALL
    yield "bomb: set of a range", zipped(program(named("builtins:set", 2) + forever + CALL, 2))
    yield "bomb: length", b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"x"
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(60_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
        archive.writestr("w/data.pkl", program(called("os:system", text(touch)), 4))
    yield "bomb: directory", many.getvalue()


def _slow() -> Iterator[tuple[str, bytes]]:
    yield "slow: twenty million instructions", zipped(program(b"N0" * 10_000_000 + b"N", 2))
    yield "slow: twenty million instructions, bare", program(b"N0" * 10_000_000 + b"N", 2)
    yield "slow: numbers of a million digits", program(b"L" + b"9" * 1_000_000 + b"L\n", 0)
    classes = b"}(" + b"".join(b"M" + struct.pack("<H", i) + text("a") for i in range(50_000)) + b"uq\x000"
    again = b"}" + b"".join(text("names") + b"h\x00s" for _ in range(100_000))
    yield "slow: names again and again", zipped(program(classes + again + called("os:system", text("true"), 2), 2))


def _cut_off(touch: str) -> Iterator[tuple[str, bytes]]:
    attack = program(called("os:system", text(touch), 2), 2)
    yield "cut off: after the call", attack[:-1]
    yield "cut off: zip", zipped(attack)[:-30]
    yield "cut off: unknown instruction after the call", attack[:-1] + b"\xff."


def _renamed(touch: str) -> Iterator[tuple[str, bytes]]:
    attack = program(called("os:system", text(touch), 2), 2)
    yield "renamed: packed with bzip2", _packed(attack, zipfile.ZIP_BZIP2)
    yield "renamed: TorchScript", zipped(pickle.dumps({}, 2), **{"constants.pkl": attack, "code.py": b"import os"})
    yield "renamed: a program before the zip", b"#!/bin/sh\n" + touch.encode() + b"\n" + zipped(attack)


def _packed(data: bytes, method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("w/data.pkl", data)
    return out.getvalue()


def _double(touch: str) -> Iterator[tuple[str, bytes]]:
    attack = program(called("os:system", text(touch), 2), 2)
    for name, first, second in (("last", pickle.dumps({}, 2), attack), ("first", attack, pickle.dumps({}, 2))):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("w/data.pkl", first)
            archive.writestr("v/data.pkl", second)
        yield f"double: the {name} of two pickles", out.getvalue()


def _read_differently(touch: str) -> Iterator[tuple[str, bytes]]:
    """Zips in which torch finds the attack, and Python's zipfile something harmless."""
    attack, harmless = program(called("os:system", text(touch), 2), 2), pickle.dumps({}, 2)
    for first, second in ((("w/DATA.PKL", attack), ("w/data.pkl", harmless)),
                          (("w/data.pkl", attack), ("w/DATA.PKL", harmless))):  # fmt: skip
        yield f"two readings: {first[0]} first", _of_entries(first, second)
    ends_early = _of_entries(("w/data.pkl?x", harmless), ("w/DATA.PKL", attack))
    yield "two readings: a name with NUL", ends_early.replace(b"w/data.pkl?x", b"w/data.pkl\0x")
    yield "two readings: two directories", _two_directories(zipped(attack), zipped(harmless))
    yield "two readings: a comment that is an end record", zipped(harmless)[:-2] + b"\x16\0" + zipped(attack)[-22:]


def _of_entries(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (*entries, ("w/version", b"3\n")):
            archive.writestr(name, content)
    return out.getvalue()


def _two_directories(named_by_offset: bytes, before_the_end: bytes) -> bytes:
    """One zip that names the directory of the first by its offset, and has that of the second before its end record."""
    at, second_at = (data.rfind(b"PK\x05\x06") for data in (named_by_offset, before_the_end))
    size, offset = struct.unpack("<II", named_by_offset[at + 12 : at + 20])
    second = struct.unpack("<I", before_the_end[second_at + 16 : second_at + 20])[0]
    directory, moved = bytearray(before_the_end[second:second_at]), at - (at + second_at - size - offset)
    begin = 0
    while begin < len(directory):  # zipfile adds to each offset by how much the directory is not where it should be
        lengths = struct.unpack("<HHH", directory[begin + 28 : begin + 34])
        place = struct.unpack("<I", directory[begin + 42 : begin + 46])[0]
        directory[begin + 42 : begin + 46] = struct.pack("<I", place + moved)
        begin += 46 + sum(lengths)
    end = bytearray(before_the_end[second_at:])
    end[16:20] = struct.pack("<I", offset)
    return named_by_offset[:at] + before_the_end[:second] + bytes(directory) + bytes(end)


def _hidden(code: str) -> Iterator[tuple[str, bytes]]:
    """Descriptions of a model, and attributes, that are no plain text in a plain dictionary."""
    model = named("ultralytics.nn.tasks:DetectionModel", 4) + b")\x81"
    ordered, hostile = named("collections:OrderedDict", 4), text(f"exec({code!r})")

    def described(key: str, value: bytes) -> bytes:
        return zipped(program(model + b"}" + text("yaml") + b"}" + text(key) + value + b"ssb", 4))

    def bytes_(value: str) -> bytes:
        return b"C" + bytes([len(value)]) + value.encode()

    pairs = b"](](" + text("activation") + hostile + b"ee" + CALL
    yield "hidden: activation in a call", zipped(program(model + b"}" + text("yaml") + ordered + pairs + b"sb", 4))
    yield "hidden: activation of bytes", described("activation", bytes_("exec('')"))
    yield "hidden: activation by bytes()", described("activation", called("builtins:bytes", bytes_("exec('')")))
    yield (
        "hidden: activation by encode",
        described("activation", named("_codecs:encode", 4) + hostile + text("utf-8") + b"\x86R"),
    )

    def scalar(kind: str, value: bytes) -> bytes:
        kind_ = called("numpy:dtype", text(kind))
        return named("numpy.core.multiarray:scalar", 4) + kind_ + value + b"\x86R"

    wide = bytes_("".join(f"{letter}\0\0\0" for letter in "exec('')"))  # as NumPy holds text
    for name, value in (("text", scalar("O", hostile)), ("bytes", scalar("O", bytes_("exec('')"))),
                        ("wide text", scalar("U8", wide))):  # fmt: skip
        yield f"hidden: activation by a scalar of {name}", described("activation", value)
    new = named("builtins:str", 4) + hostile + b"\x85\x81"
    yield "hidden: text that is created", described("activation", new)
    yield "hidden: a layer whose name is created", described("head", b"](](K\x01K\x01" + new + b"](eee")
    yield (
        "hidden: text by a call",
        described("activation", named("copyreg:_reconstructor", 4) + named("builtins:str", 4) * 2 + hostile + b"\x87R"),
    )
    row = b"](" + b"J\xff\xff\xff\xff" + b"K\x01" + text("check_requirements") + b"](" + text("x") + b"ee"
    yield "hidden: a function as a layer", described("backbone", b"](" + row + b"e")
    yield "hidden: layers in a tuple", described("backbone", row + b"\x85")
    yield (
        "hidden: layers in a tuple that is created",
        described("head", named("builtins:tuple", 4) + row + b"\x85\x85\x81"),
    )
    later = model + b"}" + text("yaml") + b"}" + text("head") + b"]\x94ssb0h\x00" + row + b"a"
    yield "hidden: a layer that is added later", zipped(program(later, 4))
    state = ordered + b")R" + text("__setstate__") + named("ultralytics.nn.tasks:DetectionModel", 4) + b"s"
    yield "hidden: attributes of a call", zipped(program(model + state + b"b", 4))
