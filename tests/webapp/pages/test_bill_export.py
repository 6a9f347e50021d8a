"""The list as CSV."""

import csv
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from sqlalchemy import insert

from billing.clock import rfc3339
from billing.identifiers import new_id
from billing.ledger import bill_list, bills, closing, customers
from billing.ledger.database import transaction
from billing.ledger.tables.rates import RateSnapshotRow
from billing.origin import by_the_system
from tests.support.visitor import Visitor
from webapp.identity.roles import Role

DELIVERED = datetime.now(UTC) - timedelta(hours=1)


def exported(visitor, address):
    """The rows, by column."""
    visitor.answer = visitor.client.get(address)
    assert visitor.answer.status_code == 200, visitor.answer.text
    text = visitor.answer.data.decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


@pytest.fixture
def with_provider(make_app, config, engine, accounts):
    """Somebody signed in where a provider gave rates, so that samples don't count."""
    delivered = {"provider": "openexchangerates", "base": "USD", "rates": {"USD": "1", "GEL": "2.5"}}
    times = {"provider_time": DELIVERED, "fetched_at": DELIVERED, "accepted_at": DELIVERED}
    with transaction(engine) as connection:
        connection.execute(insert(RateSnapshotRow).values(id=new_id(), state="accepted", **delivered, **times))
    app = make_app(replace(config, settings=replace(config.settings, oxr_app_id="an app id")))
    return Visitor(app.test_client()).signed_in(accounts[Role.VIEWER])


def test_there_is_a_row_for_each_bill_and_currency(viewer, new_bill, add, engine, origin):
    accruing, closed, empty = new_bill("export-a"), new_bill("export-b"), new_bill("export-c")
    add(accruing, quantity="6", price="0.6", code="GEL")
    add(accruing, price="3.0225", code="EUR")
    add(closed, price="0.5", code="JPY")
    customers.edit(engine, origin, "export-b", {"name": "Müller & Söhne, Ltd"})
    bills.request_close(engine, origin, closed.id)
    number = closing.close_bill(engine, by_the_system("r"), closed.id, samples=True).number
    rows = exported(viewer, "/bills.csv?q=export-")
    assert [(row["customer_id"], row["currency"]) for row in rows] == [
        ("export-c", ""),
        ("export-b", "JPY"),
        ("export-a", "EUR"),
        ("export-a", "GEL"),
    ]
    nothing, yen, euros, laris = rows
    assert (nothing["bill_id"], nothing["subtotal"], nothing["payable"]) == (str(empty.id), "", "")
    assert (yen["number"], yen["status"], yen["close_reason"]) == (str(number), "closed", "manual")
    assert yen["customer_name"] == "Müller & Söhne, Ltd"
    assert (yen["subtotal"], yen["rounding"], yen["payable"]) == ("0.5", "0.5", "1")
    assert (euros["subtotal"], euros["rounding"], euros["payable"]) == ("3.0225", "-0.0025", "3.02")
    assert (laris["subtotal"], laris["rounding"], laris["payable"], laris["number"]) == ("3.6", "0", "3.60", "")
    assert euros["period_end"].endswith("Z")
    assert (yen["cut_off"] > "2026", yen["closed_at"] > "2026", laris["cut_off"], laris["closed_at"]) == (
        True,
        True,
        "",
        "",
    )


@pytest.mark.usefixtures("one_day")
def test_the_file_is_named_for_its_day_and_kept_by_nobody(viewer):
    exported(viewer, "/bills.csv")
    day = datetime.now(UTC).date().isoformat()
    assert viewer.answer.headers["Content-Disposition"] == f'attachment; filename="bills-{day}.csv"'
    assert viewer.answer.mimetype == "text/csv"
    assert "no-store" in viewer.answer.headers["Cache-Control"]


def test_it_has_what_is_filtered_and_no_more(operator, new_bill, add):
    one, other = new_bill("narrow-one"), new_bill("narrow-two")
    add(one, code="KWD")
    add(other, code="USD")
    (link,) = operator.open("/bills?q=narrow&currency=KWD").all("a", id="export-bills")
    assert [row["bill_id"] for row in exported(operator, link.attributes["href"])] == [str(one.id)]


def test_payables_in_one_currency_add_up_to_the_whole(operator, new_bill, add):
    bill = new_bill("in-one")
    add(bill, price="10", code="USD")
    add(bill, price="1000", code="JPY")
    rows = exported(operator, "/bills.csv?q=in-one&in=USD")
    assert next(row for row in rows if row["currency"] == "USD")["payable_in_USD"] == "10.00"
    cents = sum(round(float(row["payable_in_USD"]) * 100) for row in rows)
    whole = operator.open("/bills?customer=in-one&in=USD").with_class("whole")[0].money()
    assert whole == [f"{cents / 100:.2f} USD"]


def conversion(row):
    return tuple(row[column] for column in ("payable", "rate_from", "rate_to", "rates_of", "rates", "payable_in_USD"))


def test_beside_what_was_converted_stands_by_what(viewer, new_bill, add):
    bill = new_bill("by-samples")
    add(bill, price="10", code="USD")
    add(bill, price="1000", code="GEL")
    new_bill("by-samples")
    nothing, laris, dollars = exported(viewer, "/bills.csv?q=by-samples&in=USD")
    assert set(conversion(nothing)) == {""}
    assert conversion(dollars) == ("10.00", "", "", "", "", "10.00")
    payable, rate_from, rate_to, rates_of, rates, converted = conversion(laris)
    assert (payable, rate_to, rates, rates_of[-1]) == ("1000.00", "1", "sample", "Z")
    assert round(Decimal(payable) * Decimal(rate_to) / Decimal(rate_from), 2) == Decimal(converted)
    assert "rates" not in exported(viewer, "/bills.csv?q=by-samples")[0]


def test_rates_of_open_bills_are_indicative_and_those_of_closed_ones_frozen(
    with_provider, new_bill, add, engine, origin
):
    for customer in ("by-provider-open", "by-provider-closed"):
        bill = new_bill(customer)
        add(bill, price="1000", code="GEL")
    bills.request_close(engine, origin, bill.id)
    closing.close_bill(engine, by_the_system("r"), bill.id, samples=False)
    closed, accruing = exported(with_provider, "/bills.csv?q=by-provider&in=USD")
    for row, kind in ((closed, "frozen"), (accruing, "indicative")):
        assert conversion(row) == ("1000.00", "2.5", "1", rfc3339(DELIVERED), kind, "400.00")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A1", "+49 30 1", "-2+3", "@SUM(A1)", "\t=1"])
def test_names_are_no_formulas_and_figures_stay_figures(operator, new_bill, add, engine, origin, name):
    bill = new_bill("=evil")
    customers.edit(engine, origin, "=evil", {"name": name})
    add(bill, price="3.0225", code="EUR")
    row = next(row for row in exported(operator, "/bills.csv?q=evil") if row["bill_id"] == str(bill.id))
    assert (row["customer_id"], row["customer_name"]) == ("'=evil", f"'{name}")
    assert row["rounding"] == "-0.0025"


def test_a_filter_that_cant_be_right_is_a_page_that_says_so(operator):
    operator.open("/bills.csv?from=yesterday", status=400)
    operator.open("/bills.csv?in=DOGE", status=400)


def test_nobody_exports_without_signing_in(visitor):
    assert visitor.client.get("/bills.csv").status_code == 303


def test_it_is_sent_while_it_is_read_and_holds_no_connection(operator, new_bill, monkeypatch):
    monkeypatch.setattr(bill_list, "BATCH", 5)
    for _ in range(30):
        new_bill("stream")
    answer = operator.client.get("/bills.csv?customer=stream", buffered=False)
    pool = operator.client.application.extensions["pave"].engine.pool
    parts = iter(answer.response)
    assert next(parts).count(b"\r\n") == 6
    assert pool.checkedout() == 0
    assert sum(part.count(b"\r\n") for part in parts) == 25
    answer.close()


def test_it_takes_no_more_memory_for_more_bills(operator, new_bill, monkeypatch):
    def peak():
        tracemalloc.start()
        for _ in operator.client.get("/bills.csv?customer=memory", buffered=False).response:
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    monkeypatch.setattr(bill_list, "BATCH", 10)
    for _ in range(20):
        new_bill("memory")
    peak()
    short = peak()
    for _ in range(180):
        new_bill("memory")
    assert peak() < 2 * short
