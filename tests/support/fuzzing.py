"""Schemathesis over the served document, and what came of it: calls, links followed, how long refusals took."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.support.integrator import PATH
from tests.support.stack import CHECKOUT

REFUSED_WITHIN_S = 0.25
ASKED_AGAIN = 5
LONGEST_S = 3 * 60 * 60
# A call that waits for an event does nothing else. Links are those that the document has, none that are guessed.
CONFIG = """
[[operations]]
include-operation-id = "list_all_events"
parameters = { "query.wait" = 0 }

[phases.stateful]
max-steps = 12
inference.algorithms = []
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


@dataclass
class Fuzzed:
    """`links` has how often each was followed by a call that was answered with success.

    `slow` are refusals that took too long, and did so again when nothing else was asked for.
    """

    is_good: bool
    output: str
    took_s: float
    statuses: Counter[int] = field(default_factory=Counter)
    links: Counter[str] = field(default_factory=Counter)
    declared_links: int = 0
    operations: set[str] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    slowest_refusal_s: float = 0.0
    slow: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.statuses.total()

    @property
    def failures(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def refusals(self) -> int:
        return sum(count for status, count in self.statuses.items() if 400 <= status < 500)


def fuzz(url: str, key: str, directory: Path, *, seed: str, examples: str, seconds: int = 0) -> Fuzzed:
    """`examples` for each call; with `seconds` made again and again until these are spent."""
    report = directory / "calls.ndjson"
    (directory / "schemathesis.toml").write_text(CONFIG)
    options = [
        *("--checks", ",".join(CHECKS)),
        # That examples are accepted is tested where they are made.
        *("--phases", "coverage,fuzzing,stateful"),
        *("--header", f"Authorization: Bearer {key}"),
        *("--max-examples", examples),
        *("--seed", seed),
        *("--generation-database", "none"),
        *("--suppress-health-check", "all"),
        *("--report-ndjson-path", str(report)),
        # To be sent again as they were.
        *("--output-sanitize", "false"),
        "--no-color",
        *(("--max-time", str(seconds)) if seconds else ()),
    ]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}{PATH}/openapi.json", *options]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.support.fuzz_hooks", "PYTHONPATH": str(CHECKOUT)}
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, **hooks}, text=True, capture_output=True, check=False,
        timeout=LONGEST_S,
    )  # fmt: skip
    found = Fuzzed(done.returncode == 0, done.stdout + done.stderr, time.monotonic() - began)
    if report.exists():
        _read(found, report)
    return found


def _read(found: Fuzzed, report: Path) -> None:
    late: list[tuple[float, Mapping[str, Any]]] = []
    for case, call in _calls(found, report):
        _count(found, case, call)
        answer = call.get("response")
        if answer and 400 <= answer["status_code"] < 500:
            found.slowest_refusal_s = max(found.slowest_refusal_s, answer["elapsed"])
            if answer["elapsed"] >= REFUSED_WITHIN_S:
                late.append((answer["elapsed"], call["request"]))
    found.slow = [
        f"{sent['method']} {sent['uri']}: {elapsed:.3f} s, alone {again:.3f} s"
        for elapsed, sent in late
        if (again := min(_asked_again(sent))) >= REFUSED_WITHIN_S
    ]


def _calls(found: Fuzzed, report: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """One after the other: a long run's report is larger than memory should be."""
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if loaded := event.get("LoadingFinished"):
                found.declared_links = loaded["statistic"]["transitions"]["total"]
            recorder = event.get("ScenarioFinished", {}).get("recorder") or {}
            for id_, call in recorder.get("interactions", {}).items():
                yield recorder["cases"][id_], call


def _count(found: Fuzzed, case: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    status = call["response"]["status_code"] if call.get("response") else 599
    operation = f"{case['value']['method']} {case['value']['path']}"
    found.statuses[status] += 1
    if status != 405:
        found.operations.add(operation)
    if status < 300:
        found.succeeded.add(operation)
        if case.get("transition") and case["is_transition_applied"]:
            found.links[case["transition"]["id"]] += 1


def _asked_again(sent: Mapping[str, Any]) -> Sequence[float]:
    """How long each took, one after the other; a machine that was busy for a moment isn't a slow refusal."""
    body = base64.b64decode(sent["body"]["$base64"]) if sent.get("body") else None
    headers = {name: values[0] for name, values in sent["headers"].items() if name.lower() != "content-length"}
    return [
        requests.request(sent["method"], sent["uri"], headers=headers, data=body, timeout=60).elapsed.total_seconds()
        for _ in range(ASKED_AGAIN)
    ]
