"""Imports while processes die and Temporal is away: every row has one outcome, and what it says is on the bill."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.support.imports import NDJSON, ndjson, row
from tests.support.integrator import Integrator
from tests.support.stack import Stack, without_postgres, without_temporal
from tests.system.conftest import AssertAgree


def sent(integrator: Integrator, content: bytes, bill_id: str, key: str) -> dict[str, Any]:
    headers = {**integrator.headers, "Content-Type": NDJSON, "Idempotency-Key": key}
    answer = requests.post(f"{integrator.url}/imports?bill_id={bill_id}", content, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def when_done(integrator: Integrator, import_id: str, within_s: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    while True:
        one: dict[str, Any] = integrator.get(f"/imports/{import_id}").json()["data"]
        if one["state"] == "done":
            return one
        assert time.monotonic() < deadline, one
        time.sleep(0.1)


def assert_whole(integrator: Integrator, import_id: str, bill_id: str, rows: int) -> None:
    """Each row was added once, and the report names its item."""
    lines = integrator.get(f"/imports/{import_id}/report?format=ndjson").text.splitlines()
    report = [json.loads(line) for line in lines]
    assert [one["row"] for one in report] == list(range(1, rows + 1))
    assert {one["outcome"] for one in report} == {"added"}
    exported = integrator.get(f"/exports/line-items?format=ndjson&bill_id={bill_id}").text.splitlines()
    items = [json.loads(line) for line in exported]
    assert [item["id"] for item in items] == [one["line_item_id"] for one in report]
    # The report is what was acknowledged: it has to agree with all the others.
    integrator.acknowledged[bill_id].extend(items)


def test_a_worker_killed_in_the_midst_of_an_import(
    stack: Stack, integrator: Integrator, agree: AssertAgree, run_dir: Path
) -> None:
    """After the third commit, whose activity then never answers; rows have no key of their own."""
    stack.worker.kill()
    directory = run_dir / f"dying-{uuid4().hex[:8]}"
    directory.mkdir()
    dying = stack.worker_running(directory, "tests.support.dying_importer")
    dying.start()
    bill_id, key, content = integrator.opened(), uuid4().hex, ndjson([row()] * 6_500)

    one = sent(integrator, content, bill_id, key)
    dying.wait_until_ended(60)
    halfway = integrator.get(f"/imports/{one['id']}").json()["data"]
    assert (halfway["state"], halfway["added"]) == ("running", 3_000)

    stack.worker.start()
    assert sent(integrator, content, bill_id, key)["id"] == one["id"]
    done = when_done(integrator, one["id"])
    assert (done["added"], done["rejected"]) == (6_500, 0)
    assert_whole(integrator, one["id"], bill_id, 6_500)
    agree(bill_id)


def test_postgresql_restarted_in_the_midst_of_an_import(
    stack: Stack, postgres: Postgres, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    one = sent(integrator, ndjson([row()] * 20_000), bill_id, uuid4().hex)
    while not integrator.get(f"/imports/{one['id']}").json()["data"]["added"]:
        time.sleep(0.05)
    with without_postgres(postgres, stack):
        pass
    assert when_done(integrator, one["id"])["added"] == 20_000
    assert_whole(integrator, one["id"], bill_id, 20_000)
    agree(bill_id)


def test_an_import_sent_while_temporal_is_down_is_carried_out_once_it_is_back(
    stack: Stack, temporal: Temporal, integrator: Integrator, agree: AssertAgree
) -> None:
    bill_id = integrator.opened()
    with without_temporal(temporal):
        one = sent(integrator, ndjson([row()] * 10), bill_id, uuid4().hex)
        assert one["state"] == "waiting"
    when_done(integrator, one["id"])
    assert_whole(integrator, one["id"], bill_id, 10)
    agree(bill_id)
