"""A client that an outside generator makes of the document, against the system as it runs: the whole life of a bill."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.support.integrator import PATH
from tests.support.stack import Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

NAME = "generated_pave_client"


@pytest.fixture(scope="module")
def generated(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the package is that openapi-python-client wrote; it is told of nothing that it can't make a call of."""
    directory = tmp_path_factory.mktemp("generated")
    document, settings = directory / "openapi.json", directory / "settings.yaml"
    served = requests.get(f"{stack.url}{PATH}/openapi.json", timeout=20).json()
    # Files of rows: it knows no such media, and says so.
    del served["paths"]["/imports"]["post"]
    document.write_text(json.dumps(served))
    settings.write_text("post_hooks: []\n")
    options = ["--path", document, "--config", settings, "--meta", "none", "--output-path", directory / NAME]
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *map(str, options)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(directory))
    yield directory / NAME
    sys.path.remove(str(directory))
    for module in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[module]


class Generated:
    """The package, with a client that carries a key."""

    def __init__(self, url: str, key: str) -> None:
        package = importlib.import_module(NAME)
        self.models: ModuleType = importlib.import_module(f"{NAME}.models")
        self.client = package.AuthenticatedClient(base_url=f"{url}{PATH}", token=key)

    def call(self, tag: str, name: str, *arguments: Any, **more: Any) -> Any:
        """What the call answers, as the class that the generator made of it."""
        module = importlib.import_module(f"{NAME}.api.{tag}.{name}")
        answer = module.sync(*arguments, client=self.client, **more)
        assert answer is not None
        return answer


@pytest.fixture
def with_key(stack: Stack, generated: Path) -> Iterator[Callable[[str], Generated]]:
    made: list[Generated] = []

    def with_key(key: str) -> Generated:
        made.append(Generated(stack.url, key))
        return made[-1]

    yield with_key
    for one in made:
        one.client.get_httpx_client().close()


@pytest.fixture
def api(stack: Stack, with_key: Callable[[str], Generated]) -> Generated:
    return with_key(api_keys.create(stack.engine, name=uuid4().hex, role=Role.OPERATOR))


def test_the_whole_life_of_a_bill(api: Generated):
    models, now = api.models, datetime.now(UTC)
    customer = api.call("customers", "register_customer", body=models.RegisterCustomerBody(id="hung", name="Hung Ltd"))
    assert customer.data.name == "Hung Ltd"

    period = {"period_start": now - timedelta(days=1), "period_end": now + timedelta(days=30)}
    asked = models.OpenBillBody(customer_id="hung", **period)
    bill = api.call("bills", "open_bill", body=asked, idempotency_key="open-1").data
    again = api.call("bills", "open_bill", body=asked, idempotency_key="open-1").data
    assert (bill.status, bill.id) == ("open", again.id)

    item = models.AddLineItemBody(description="hung", quantity="6", unit_price="0.6", currency="GEL")
    added = api.call("line_items", "add_line_item", bill.id, body=item, idempotency_key="item-1")
    assert (added.line_item.total, added.data.total.by_currency["GEL"]) == ("3.6", "3.6")

    promised = api.call(
        "line_items", "add_line_item", bill.id, body=item, idempotency_key="item-2", prefer="respond-async"
    ).data
    outcome = when(
        lambda: api.call("line_items", "show_line_item_request", bill.id, promised.id).data,
        lambda asked: asked.state == "added",
    )

    rows = [
        models.LineItemRow(description="a", quantity="3", unit_price="1.005", currency="USD", key="row-1"),
        models.LineItemRow(description="b", quantity="0", unit_price="1", currency="USD"),
    ]
    batch = api.call("line_items", "add_batch", bill.id, body=models.AddBatchBody(line_items=rows))
    assert [outcome.outcome for outcome in batch.outcomes] == ["added", "rejected"]
    assert batch.outcomes[1].error.details.field == "quantity"

    reason = models.ReverseLineItemBody(reason="billed twice")
    reversed_ = api.call("line_items", "reverse_line_item", bill.id, outcome.line_item_id, body=reason)
    assert (reversed_.line_item.reverses, reversed_.line_item.total) == (outcome.line_item_id, "-3.6")

    moved = models.ChangePeriodBody(period_end=now + timedelta(days=40), expected_version=reversed_.data.version)
    assert api.call("bills", "change_period", bill.id, body=moved).data.period_end == moved.period_end

    when(
        lambda: api.call("bills", "close_bill", bill.id, body=models.CloseBillBody()).data,
        lambda closed: closed.status == "closed",
    )
    refused = api.call("line_items", "add_line_item", bill.id, body=item)
    assert (refused.code, refused.details.reason) == ("failed_precondition", "bill_closed")

    read = api.call("bills", "show_bill", bill.id, currency="EUR").data
    assert read.payable["USD"].amount == "3.02"
    assert read.total.converted["EUR"].amount == "3.74"
    assert read.number >= 1
    listed = api.call("bills", "list_bills", customer_id="hung").data
    assert [one.id for one in listed] == [bill.id]
    assert len(api.call("line_items", "list_line_items", bill.id).data) == 4
    types = [event.type_ for event in api.call("events", "list_events", bill.id).data]
    assert (types[0], types[-1]) == ("bill.created", "bill.closed")

    explained = api.call("bills", "explain_bill", bill.id).data
    assert (explained.subtotals["USD"].payable, len(explained.line_items)) == ("3.02", 4)
    lines = api.call("exports", "export_line_items", bill_id=bill.id).splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == [str(bill.id)] * 4
    fed = api.call("events", "list_all_events", type_="bill.closed", limit=100)
    assert str(bill.id) in {event.subject.id for event in fed.data}


def when(read: Callable[[], Any], is_so: Callable[[Any], bool], *, within_s: float = 60) -> Any:
    """What is read, as soon as it is so."""
    deadline = time.monotonic() + within_s
    while not is_so(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_a_key_that_is_wrong_is_told_so_in_the_envelope(with_key: Callable[[str], Generated]):
    refused = with_key("pave_" + "x" * 43).call("bills", "list_bills")

    assert (refused.code, refused.details.reason) == ("unauthenticated", "invalid_credentials")
