"""Requests that a tester makes up from the OpenAPI document: no answer is a fault of the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.serving.running import RunningServer

pytest.importorskip("schemathesis")
CASES = int(os.environ.get("LIFTGATE_CASES", "60"))
"""Of each route and kind of body; 1000 make about 2,100 requests, 5000 made 10,107"""


def test_no_made_up_request_is_a_fault_of_the_server(server: RunningServer, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.port}/openapi.json"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", url, "--checks", checks, "--max-examples", str(CASES),
        "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--seed", "0", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    statuses = [one["status"] for one in server.events("request")]
    sys.stdout.write(f"{len(statuses)} requests\n")  # shown by `-rP`
    assert len(statuses) >= CASES and all(status < 500 for status in statuses)
    assert server.ask("GET", "/health").status == 200
