"""Run a notebook's cells and keep their outputs: `python tests/notebooks.py examples/quickstart.ipynb`."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMATS = {"image/svg+xml": "_repr_svg_", "image/png": "_repr_png_", "text/html": "_repr_html_"}


def run_cells(notebook: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield every code cell and its outputs: what it printed, and what its last expression shows."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, "cell", "exec"), names)
            value = None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        stream = {"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(keepends=True)}
        yield cell, ([stream] if stream["text"] else []) + ([_shown(value)] if value is not None else [])


def _shown(value: object) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for kind, method in FORMATS.items():
        if show := getattr(value, method, None):
            content = show()
            data[kind] = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    data["text/plain"] = f"<{type(value).__name__}>" if data else repr(value)
    return {"output_type": "display_data", "data": data, "metadata": {}}


def write_outputs(path: Path) -> None:
    """Run a notebook and write it again with its outputs."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, (cell, outputs) in enumerate(run_cells(notebook), 1):
        cell["outputs"], cell["execution_count"] = outputs, number
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_outputs(Path(sys.argv[1]))
