"""What a scrape says: values of several processes together, routes and not addresses, and an answer in any weather."""

from __future__ import annotations

import logging
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.ledger import line_items
from billing.origin import Origin
from billing.settings import Settings, SettingsInvalid
from embedded.postgres import Postgres
from tests.support.imports import carried_out, row, stored
from tests.support.ledger import OpenBill, draft
from tests.support.scrapes import Scrape, read
from webapp import metrics, metrics_files
from webapp.config import Config
from workflows import scraping
from workflows.database_gauges import DatabaseGauges

PROJECT = Path(__file__).resolve().parents[2]
COUNTS = """
import os, sys
from pathlib import Path
from webapp import metrics_files
metrics_files.take_slot(int(sys.argv[1]))
from webapp import metrics
metrics._REQUESTS.labels("/a", "GET", "200").inc(float(sys.argv[2]))
metrics._SECONDS.labels("/a", "GET").observe(0.02)
metrics._STREAMS.set(float(sys.argv[2]))
os._exit(9)  # as one that is killed: it tidies nothing up
"""
ADDS_UP = """
import sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry, sys.argv[1])
sys.stdout.buffer.write(generate_latest(registry))
"""


@pytest.fixture
def counted(make_app: Callable[[Config], Flask], config: Config) -> Flask:
    from dataclasses import replace

    return make_app(replace(config, metrics=True))


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(metrics_files.VARIABLE, "")  # put back what it was afterwards
    return metrics_files.make_directory(tmp_path)


def test_three_processes_count_together_and_a_fourth_goes_on_where_a_dead_one_stopped(shared: Path) -> None:
    for slot, requests in ((0, 5), (1, 7), (2, 1)):
        _in_a_process(slot, requests)
    first, files = _added_up(shared), sorted(shared.iterdir())
    metrics_files.forget_gauges(shared, 1)
    without = _added_up(shared)
    _in_a_process(1, 10)
    last = _added_up(shared)

    assert first.value("pave_requests_total", route="/a") == 13
    assert first.value("pave_request_seconds_count", route="/a") == 3
    assert first.value("pave_streams_open") == 13
    assert without.value("pave_requests_total", route="/a") == 13
    assert without.value("pave_streams_open") == 6
    assert last.value("pave_requests_total", route="/a") == 23
    assert last.value("pave_streams_open") == 16
    assert sorted(shared.iterdir()) == files


def test_a_slot_is_free_once_its_process_is_gone() -> None:
    assert metrics_files.free_slot(set()) == 0
    assert metrics_files.free_slot({0, 1, 2}) == 3
    assert metrics_files.free_slot({0, 2}) == 1


def test_what_a_killed_server_left_goes_and_what_another_uses_stays(tmp_path: Path) -> None:
    left = tmp_path / f"{metrics_files.PREFIX}of-a-killed-one"
    left.mkdir()
    script = "from pathlib import Path; import sys\nfrom webapp import metrics_files\n"
    script += "print(metrics_files.make_directory(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin
        assert other.stdout
        used = Path(other.stdout.readline().strip())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(metrics_files.VARIABLE, "")
            metrics_files.make_directory(tmp_path)
        assert (left.exists(), used.exists()) == (False, True)
        other.stdin.close()


def test_addresses_and_methods_that_anybody_may_write_are_no_labels(counted: Flask) -> None:
    client = counted.test_client()
    before = _scraped(counted)
    for n in range(3):
        client.get(f"/nowhere/{n}")
        client.get(f"/api/v1/bills/nobody-{n}")
    client.open("/healthz", method="BREW")
    seen = _scraped(counted)

    assert _more(before, seen, route="none", status="404") == 3
    assert _more(before, seen, route="/api/v1/bills/<bill_id>", method="GET") == 3
    assert _more(before, seen, method="other") == 1
    assert not [labels for labels in seen.labels("pave_requests_total") if "nobody" in str(labels)]


def test_nothing_is_counted_unless_somebody_is_to_ask(client: FlaskClient, app: Flask) -> None:
    before = _scraped(app)
    client.get("/healthz")

    assert _more(before, _scraped(app), route="/healthz") == 0


def test_the_database_says_what_is_late(engine: Engine, database_url: str, origin: Origin, open_bill: OpenBill) -> None:
    late, asked = open_bill(), open_bill()
    line_items.add(engine, origin, late.id, draft())
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE bills SET period_start = period_start - interval '40 days',"
                " period_end = clock_timestamp() - interval '90 seconds' WHERE id = :id"
            ),
            {"id": late.id},
        )
        connection.execute(
            text(
                "UPDATE bills SET status = 'closing', close_requested_at = clock_timestamp() - interval '2 minutes'"
                " WHERE id = :id"
            ),
            {"id": asked.id},
        )
        events = connection.execute(text("SELECT count(*) FROM events")).scalar_one()
    seen = _of_database(Settings(database_url))

    assert seen.value("pave_database_up") == 1
    assert seen.value("pave_bills_overdue") == 1
    assert 90 <= (seen.value("pave_bills_overdue_seconds") or 0) < 600
    assert (seen.value("pave_bills_closing"), seen.value("pave_bills_closing_late")) == (1, 1)
    assert seen.value("pave_events_not_counted") == events
    assert seen.value("pave_sums_age_seconds") is None  # never followed: no age rather than none
    assert seen.value("pave_rates_stale") == 0  # samples


def test_an_import_that_nobody_carries_out_is_seen_to_wait(
    engine: Engine, database_url: str, origin: Origin, open_bill: OpenBill
) -> None:
    one = stored(engine, origin, [row()], open_bill().id)
    with engine.begin() as connection:
        connection.execute(text("UPDATE imports SET created_at = created_at - interval '1 hour'"))
    waited = _of_database(Settings(database_url)).value("pave_imports_oldest_seconds")
    carried_out(engine, str(one.id))

    assert 3600 <= (waited or 0) < 4200
    assert _of_database(Settings(database_url)).value("pave_imports_oldest_seconds") == 0


def test_rates_nobody_ever_got_are_stale(database_url: str) -> None:
    assert _of_database(Settings(database_url, oxr_app_id="an-id")).value("pave_rates_stale") == 1


def test_a_scrape_answers_without_postgres_and_says_so(
    database_url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.database_gauges.REMEMBERED_FOR_S", 0.0)
    gauges = DatabaseGauges(Settings(database_url))
    assert _of(gauges).value("pave_database_up") == 1
    postgres.stop()
    try:
        down = _of(gauges)
    finally:
        postgres.start()

    assert down.value("pave_database_up") == 0
    assert down.value("pave_bills_overdue") is None
    assert _of(gauges).value("pave_database_up") == 1


def test_scrapes_in_quick_succession_ask_the_database_once(
    database_url: str, engine: Engine, open_bill: OpenBill
) -> None:
    gauges = DatabaseGauges(Settings(database_url))
    before = _of(gauges).value("pave_events_not_counted")
    open_bill()

    assert _of(gauges).value("pave_events_not_counted") == before


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(SettingsInvalid, match="METRICS_PORT"):
        scraping.address_in({"METRICS_PORT": port}, "METRICS_PORT")


def test_metrics_are_off_unless_configured_and_then_at_loopback_unless_told_otherwise() -> None:
    assert scraping.address_in({}, "METRICS_PORT") is None
    assert scraping.address_in({"METRICS_PORT": "9101"}, "METRICS_PORT") == ("127.0.0.1", 9101)
    given = {"METRICS_PORT": "9101", "METRICS_ADDRESS": "10.0.0.1"}
    assert scraping.address_in(given, "METRICS_PORT") == ("10.0.0.1", 9101)


def test_reading_for_a_scrape_takes_little_of_the_database(engine: Engine) -> None:
    from billing.ledger import monitoring

    with engine.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        plan = "\n".join(
            connection.execute(
                text("EXPLAIN " + str(monitoring._FIGURES)),
                {"limit": 10, "late": timedelta(minutes=1), "samples": True},
            ).scalars()
        )

    for index in ("ix_bills_due", "ix_bills_closing", "ix_events_xid_seq", "ix_line_item_requests_pending"):
        assert index in plan, plan


def _in_a_process(slot: int, requests: int) -> None:
    done = subprocess.run([sys.executable, "-c", COUNTS, str(slot), str(requests)], check=False)
    assert done.returncode == 9


def _added_up(directory: Path) -> Scrape:
    return read(subprocess.check_output([sys.executable, "-c", ADDS_UP, str(directory)], text=True))


def _scraped(app: Flask) -> Scrape:
    return read(metrics.renderer(app.extensions["pave"])().decode())


def _more(before: Scrape, after: Scrape, **labels: str) -> float:
    name = "pave_requests_total"
    return (after.value(name, **labels) or 0) - (before.value(name, **labels) or 0)


def _of_database(settings: Settings) -> Scrape:
    return _of(DatabaseGauges(settings))


def _of(gauges: DatabaseGauges) -> Scrape:
    return read("\n".join(_lines(gauges)) + "\n")


def _lines(gauges: DatabaseGauges) -> list[str]:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(gauges)
    return generate_latest(registry).decode().splitlines()


def test_a_server_that_finds_its_port_taken_does_not_count_in_the_files_of_the_one_that_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(metrics_files.VARIABLE, "/nowhere")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("METRICS_PORT", str(taken.getsockname()[1]))
        server = SimpleNamespace(log=logging.getLogger("tests"))
        runpy.run_path(str(PROJECT / "gunicorn.conf.py"))["on_starting"](server)
    assert server.metrics_directory is None
    assert metrics_files.VARIABLE not in os.environ
