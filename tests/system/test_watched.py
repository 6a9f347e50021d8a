"""The system as operators watch it: metrics of all processes, traces from request to activity, ids through the logs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from billing.ledger import line_items
from billing.origin import Origin
from embedded import ports
from tests.support.agreement import Staff
from tests.support.integrator import HUNG, Integrator
from tests.support.ledger import OpenBill, draft
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.scrapes import Scrape, scrape
from tests.support.stack import Stack
from tests.workflows.conftest import state_when
from workflows.bill import BillWorkflow
from workflows.connection import connect
from workflows.messages import BillLife, figures_of

CLOSE = "/api/v1/bills/<bill_id>/close"
ADD = "/api/v1/bills/<bill_id>/line-items"


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def metrics_ports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return ports.kept_ports(tmp_path_factory.mktemp("ports") / "ports.json", ("web-metrics", "worker-metrics"))


@pytest.fixture(scope="module")
def environment(collector: OtlpReceiver, metrics_ports: dict[str, int]) -> dict[str, str]:
    return {
        "METRICS_PORT": str(metrics_ports["web-metrics"]),
        "WORKER_METRICS_PORT": str(metrics_ports["worker-metrics"]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "WEB_CONCURRENCY": "3",
    }


def test_a_close_is_one_trace_from_its_request_to_the_activity_that_closes(
    integrator: Integrator, collector: OtlpReceiver
) -> None:
    bill_id = integrator.opened(customer_id="Nino Beridze")
    integrator.post(f"/bills/{bill_id}/line-items", {**HUNG, "description": "A secret retainer"})
    integrator.post(f"/bills/{bill_id}/close", X_Request_Id="close-1")

    activity = collector.span_when(
        lambda span: span.name == "activity close_bill" and _attributes(span)["workflow_id"] == f"bill-{bill_id}"
    )
    request = collector.span_when(lambda span: span.name == f"POST {CLOSE}" and span.trace_id == activity.trace_id)
    update = collector.span_when(lambda span: span.name == "update close" and span.trace_id == activity.trace_id)

    assert (update.parent_span_id, activity.parent_span_id) == (request.span_id, update.span_id)
    assert _attributes(request)["pave.request_id"] == "close-1"
    assert {collector.services[span.span_id] for span in (request, activity)} == {"pave-web", "pave-worker"}


def test_a_trace_that_a_proxy_began_goes_on(integrator: Integrator, collector: OtlpReceiver) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    integrator.post("/bills", {}, traceparent=f"00-{trace_id}-b7ad6b7169203331-01")

    assert collector.span_when(lambda span: span.trace_id.hex() == trace_id).parent_span_id.hex() == "b7ad6b7169203331"


def test_no_span_has_anybodys_name_or_text(integrator: Integrator, collector: OtlpReceiver) -> None:
    bill_id = integrator.opened(customer_id="Nino Beridze")
    integrator.post(f"/bills/{bill_id}/line-items", {**HUNG, "description": "A secret retainer"})
    integrator.get("/bills?q=Beridze")
    integrator.get("/bills/Beridze")
    integrator.post(f"/bills/{bill_id}/close")
    collector.span_when(
        lambda span: span.name == "activity record_heard" and _attributes(span)["workflow_id"] == f"bill-{bill_id}"
    )

    said = "\n".join(str(span) for span in list(collector.spans))

    assert not [word for word in ("Nino", "Beridze", "secret retainer", "hung", integrator.headers["Authorization"][7:])
                if word in said]  # fmt: skip


def test_the_worker_says_in_whose_request_it_closes(integrator: Integrator, stack: Stack) -> None:
    bill_id = integrator.opened()
    integrator.post(f"/bills/{bill_id}/close", X_Request_Id="the-close-of-a-bill")

    line = _when(lambda: _line(stack.worker.child.log, event="activity", activity="close_bill", bill_id=bill_id))

    assert (line["request_id"], line["outcome"]) == ("the-close-of-a-bill", "done")
    asked = _when(lambda: _line(stack.web.child.log, event="request", route=CLOSE, bill_id=bill_id))
    assert (asked["request_id"], asked["actor"].split(":")[0]) == ("the-close-of-a-bill", "api_key")
    assert line["actor"] == asked["actor"]
    events = integrator.get(f"/bills/{bill_id}/events").json()["data"]
    assert [event["request_id"] for event in events][-2:] == ["the-close-of-a-bill"] * 2


def test_the_worker_says_in_whose_request_an_item_was_asked_for(integrator: Integrator, stack: Stack) -> None:
    bill_id = integrator.opened()
    integrator.post(f"/bills/{bill_id}/line-items", HUNG, Prefer="respond-async", X_Request_Id="an-item-later")

    line = _when(lambda: _line(stack.worker.child.log, event="carried_out", bill_id=bill_id))

    assert (line["request_id"], line["state"]) == ("an-item-later", "added")


def test_the_sweep_says_in_whose_request_a_workflow_fell_behind(integrator: Integrator, stack: Stack) -> None:
    bill_id = integrator.opened()
    bill = integrator.post(f"/bills/{bill_id}/line-items", HUNG, X_Request_Id="a-missed-signal").json()["data"]
    # Nobody can have been told yet: the signal of a bill that was just opened waits a second at least.
    with stack.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE bills SET updated_at = updated_at - interval '1 minute' WHERE id = %s",
                                   (bill["id"],))  # fmt: skip
    line = _when(
        lambda: (
            _line(stack.worker.child.log, event="told", bill_id=bill_id)
            or _line(stack.worker.child.log, event="activity", bill_id=bill_id, request_id="a-missed-signal")
        )
    )

    assert line["request_id"] == "a-missed-signal"


def test_every_line_of_web_and_worker_is_json(stack: Stack) -> None:
    for program in (stack.web, stack.worker):
        assert program.child.log
        for line in program.child.log.read_text().splitlines():
            assert json.loads(line)["timestamp"], line


def test_requests_of_all_processes_are_counted_together(integrator: Integrator, metrics_ports: dict[str, int]) -> None:
    before = scrape(metrics_ports["web-metrics"])
    bill_id = integrator.opened()
    for _ in range(30):
        integrator.added(bill_id)
    integrator.get("/nowhere/at/all")
    integrator.get("/bills/not-an-id")
    after = scrape(metrics_ports["web-metrics"])

    assert _more(before, after, "pave_requests_total", route=ADD, method="POST", status="200") == 30
    assert _more(before, after, "pave_request_seconds_count", route=ADD, method="POST") == 30
    assert _more(before, after, "pave_requests_total", route="none", status="404") == 1
    assert "not-an-id" not in str(after.samples)
    assert bill_id not in str(after.samples)


def test_updates_signals_and_the_database_are_in_a_scrape(
    integrator: Integrator, metrics_ports: dict[str, int]
) -> None:
    before = scrape(metrics_ports["web-metrics"])
    bill_id = integrator.opened()
    integrator.post(f"/bills/{bill_id}/close")
    seen = _when(lambda: _scrape_if(metrics_ports["web-metrics"], lambda now: (
        _more(before, now, "pave_signals_total", outcome="sent") >= 1
        and now.value("pave_pool_connections_most") == 3 * 40)))  # fmt: skip

    assert _more(before, seen, "pave_update_seconds_count", update="close", outcome="answered") == 1
    assert seen.value("pave_database_up") == 1
    assert seen.value("pave_bills_overdue") == 0
    assert seen.value("pave_rates_stale") == 0
    assert seen.value("pave_signal_lag_seconds") is not None
    assert seen.value("pave_streams_open") == 0


def test_the_worker_serves_its_own_and_the_sdks(integrator: Integrator, metrics_ports: dict[str, int]) -> None:
    bill_id = integrator.opened()
    integrator.post(f"/bills/{bill_id}/close")

    seen = _when(lambda: _scrape_if(metrics_ports["worker-metrics"], lambda now: bool(
        now.value("temporal_workflow_completed_total"))))  # fmt: skip

    assert seen.value("pave_sweep_rounds_total", round="close_due", outcome="done")
    assert seen.value("temporal_activity_execution_latency_seconds_count", activity_type="close_bill")
    assert seen.value("pave_database_up") == 1
    assert bill_id not in str(seen.samples)


def test_the_running_worker_compares_rows_and_what_differs_is_in_scrapes_and_on_the_page(
    integrator: Integrator, stack: Stack, staff: Staff, metrics_ports: dict[str, int]
) -> None:
    def counted(port: int) -> float:
        # The next round comes within seconds then, whatever the last one looked at.
        _execute(stack, "UPDATE reconciler SET due_at = now()")
        return scrape(port).value("pave_findings", kind="counts") or 0

    bill_id = integrator.opened()
    _execute(stack, "UPDATE bills SET item_count = 7 WHERE id = %s", bill_id)
    try:
        for port in metrics_ports.values():
            _when(lambda port=port: counted(port) == 1)
        assert "the bill counts 7" in staff.page("/attention").words
    finally:
        _execute(stack, "UPDATE bills SET item_count = 0 WHERE id = %s", bill_id)

    _when(lambda: counted(metrics_ports["worker-metrics"]) == 0)
    assert scrape(metrics_ports["worker-metrics"]).value("pave_sweep_rounds_total", round="reconcile", outcome="done")


def test_runs_that_go_on_as_new_ones_are_counted(
    stack: Stack, origin: Origin, open_bill: OpenBill, metrics_ports: dict[str, int]
) -> None:
    before = scrape(metrics_ports["worker-metrics"])

    async def scenario() -> None:
        opened = open_bill()
        handle = await (await connect(stack.settings)).start_workflow(
            BillWorkflow.run,
            BillLife(figures_of(opened), longest_history=30),
            id=opened.workflow_id,
            task_queue=stack.settings.temporal_task_queue,
        )
        for _ in range(10):
            bill, _, _ = line_items.add(stack.engine, origin, opened.id, draft())
            await handle.signal(BillWorkflow.accrued, figures_of(bill))
            await state_when(handle, lambda state, bill=bill: state.recorded_version == bill.version)  # type: ignore[misc]

    asyncio.run(scenario())

    assert _when(lambda: _scrape_if(metrics_ports["worker-metrics"], lambda now: (
        _more(before, now, "temporal_workflow_continue_as_new_total") >= 1)))  # fmt: skip


def test_what_a_killed_process_counted_stays_and_its_files_serve_the_next(
    integrator: Integrator, stack: Stack, metrics_ports: dict[str, int]
) -> None:
    before = scrape(metrics_ports["web-metrics"])
    for _ in range(2):
        integrator.opened()
        processes = psutil.Process(stack.web.child.pid).children()
        for process in processes:
            process.kill()
        _when(lambda killed=processes: len(_living(stack, killed)) == 3)
        _when(lambda: _answers(integrator))
    after = _when(lambda: _scrape_if(metrics_ports["web-metrics"], lambda now: (
        now.value("pave_pool_connections_most") == 3 * 40)))  # fmt: skip

    assert _more(before, after, "pave_requests_total", route="/api/v1/bills", method="POST", status="200") >= 2
    assert {path.stem.rsplit("_", 1)[1] for path in _metrics_files(stack)} == {"0", "1", "2"}


def _execute(stack: Stack, statement: str, *given: str) -> None:
    with stack.engine.begin() as connection:
        connection.exec_driver_sql(statement, given)


def _living(stack: Stack, killed: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in psutil.Process(stack.web.child.pid).children() if process not in killed]


def _metrics_files(stack: Stack) -> list[Path]:
    opened = psutil.Process(stack.web.child.pid).children()[0].memory_maps()
    (directory,) = {Path(part.path).parent for part in opened if "pave-metrics-" in part.path}
    return list(directory.iterdir())


def _answers(integrator: Integrator) -> bool:
    try:
        return integrator.get("/currencies").ok
    except OSError:
        return False


def _more(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    return (after.value(name, **labels) or 0) - (before.value(name, **labels) or 0)


def _scrape_if(port: int, wanted: Callable[[Scrape], bool]) -> Scrape | None:
    found = scrape(port)
    return found if wanted(found) else None


def _line(log: Path | None, **wanted: str) -> dict[str, Any] | None:
    assert log
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return next((line for line in lines if wanted.items() <= line.items()), None)


def _attributes(span: Any) -> dict[str, str]:
    return {entry.key: entry.value.string_value for entry in span.attributes}


def _when(found: Callable[[], Any], within_s: float = 60) -> Any:
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, "never came about"
        time.sleep(0.1)
    return value
