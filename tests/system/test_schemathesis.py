"""Schemathesis over the served document: cases made of its schemas, right ones and wrong ones, the same in every run.

FUZZ_EXAMPLES=2000 bin/test tests/system/test_schemathesis.py -s    # long
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.integrator import PATH
from tests.support.stack import Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "10")
SEED = os.environ.get("FUZZ_SEED", "2026")
LONGEST_S = 3 * 60 * 60
# A call that waits for an event does nothing else.
CONFIG = """
[[operations]]
include-operation-id = "list_all_events"
parameters = { "query.wait" = 0 }
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
    "negative_data_rejection",
)


@pytest.mark.timeout(LONGEST_S)
def test_nothing_fails_and_every_answer_is_what_the_document_says(stack: Stack, tmp_path: Path):
    key = api_keys.create(stack.engine, name="schemathesis", role=Role.ADMIN)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    options = [
        *("--checks", ",".join(CHECKS)),
        # That examples are accepted is tested where they are made.
        *("--phases", "coverage,fuzzing,stateful"),
        *("--header", f"Authorization: Bearer {key}"),
        *("--max-examples", EXAMPLES),
        *("--seed", SEED),
        *("--generation-database", "none"),
        *("--suppress-health-check", "all"),
        "--no-color",
    ]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{stack.url}{PATH}/openapi.json", *options]

    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=LONGEST_S, check=False)

    print(done.stdout[-3_000:])
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
