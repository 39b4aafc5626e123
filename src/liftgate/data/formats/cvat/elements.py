"""The elements of a CVAT XML 1.1, one at a time, out of the file or the zip that CVAT exported."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from liftgate.documents import DocumentError, Limits, iterate_xml
from liftgate.errors import DataError

_LARGEST = 2 << 30
_FREE = 16 << 20
_RATIO = 100  # boxes are 5 to 20 times smaller in a zip
_LIMITS = Limits(size=4 << 20, nodes=200_000_000)  # the file itself may be large: it is read element by element


def top_elements(path: Path) -> Iterator[Element]:
    """Yield each element below `<annotations>`; it is cleared when the next one is asked for.

    Args:
        path: `annotations.xml`, or a zip with it (only the XML in it is opened, nothing is unpacked).

    Raises:
        DataError: not CVAT's XML, cut off, or refused (a bomb); with the line.
    """
    with _open(path) as file:
        root: Element | None = None
        try:
            for kind, element, depth in iterate_xml(file, _LIMITS):
                if root is None:
                    root = element
                    if root.tag != "annotations":
                        raise DataError("not a CVAT XML", where=path, expected="<annotations>", got=f"<{root.tag}>")
                if kind == "end" and depth == 1:
                    yield element
                    root.clear()
        except DocumentError as error:
            what = "the XML is broken" if error.line else "the XML is refused"
            raise DataError(what, where=error.place(path), got=error.problem) from None
        except (ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError("the XML is refused", where=path, got=f"{type(error).__name__}: {error}"[:200]) from None


@contextlib.contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    try:
        if path.suffix.lower() != ".zip":
            with path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(path) as archive:
            inside = [item for item in archive.infolist() if Path(item.filename).name == "annotations.xml"]
            if len(inside) != 1:
                raise DataError(
                    "no CVAT export",
                    where=path,
                    expected="one annotations.xml",
                    got=len(inside),
                    hint="`liftgate data fetch ZIP --out DIR` unpacks other exports, such as Roboflow's",
                )
            size, packed = inside[0].file_size, inside[0].compress_size
            if size > _LARGEST:
                raise DataError("annotations.xml is too large", where=path, expected="under 2 GiB")
            if size > _FREE and size > _RATIO * packed:
                raise DataError(
                    "the zip is a bomb",
                    where=path,
                    expected=f"under {_RATIO} times its {packed:,} bytes",
                    got=f"{size:,}",
                )
            with archive.open(inside[0]) as member:
                # ZipExtFile stops at the declared size, so a bomb with a false size is cut off.
                yield member
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # damaged, odd compression, a password
        raise DataError("the zip cannot be read", where=path, got=str(error)) from None
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
