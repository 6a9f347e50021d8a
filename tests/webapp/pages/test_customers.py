"""Customers."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from billing.bill import BillStatus
from billing.ledger import bills, closing, customers, line_items
from billing.ledger.customer_reads import customer_with_bills


@pytest.fixture
def close(engine, origin):
    def close_(bill):
        bills.request_close(engine, origin, bill.id)
        closing.close_bill(engine, origin, bill.id, samples=True)

    return close_


def test_a_customer_is_registered_with_details(operator, engine):
    page = operator.submit(
        "/customers/new",
        "/customers",
        customer_id="acme/../new",
        name="Acme",
        email="ap@acme.example",
        billing_address="1 Road\nTown",
    )
    assert page.all("h1")[0].text == "Acme"
    assert "1 Road Town" in page.text
    assert "acme/../new" in operator.open("/customers?q=me/..").id("customer-list").text


def test_a_name_that_is_taken_is_said_beside_it(operator, new_bill):
    new_bill("taken")
    page = operator.submit("/customers/new", "/customers", customer_id="taken", name="Kept", status=409)
    assert page.id("field-customer_id-error").text == "A customer with this id exists."
    assert page.id("field-name").attributes["value"] == "Kept"


def test_a_customer_is_edited_and_its_closed_bills_stay(operator, new_bill, close):
    bill = new_bill("edited")
    close(bill)
    address = f"/customers/{bill.customer.id}"
    page = operator.submit(f"{address}/edit", address, name="New name", email="nowhere", status=400)
    assert page.id("field-email-error").text == "E-mail must be an e-mail address."
    assert page.id("field-name").attributes["value"] == "New name"
    page = operator.submit(f"{address}/edit", address, name="New name")
    assert page.all("h1")[0].text == "New name"
    assert "keep the details they were closed with" in page.id("notices").text
    assert "New name" not in operator.open(f"/bills/{bill.id}").all("h1")[0].text


def test_what_somebody_else_changed_meanwhile_is_shown_and_not_overwritten_unseen(operator, engine, origin):
    customer, _ = customers.register(engine, origin, "contended", {"name": "First", "email": "a@b.example"})
    address = f"/customers/{customer.id}"
    form = operator.open(f"{address}/edit").form(address)
    customers.edit(engine, origin, "contended", {"name": "Theirs"})
    page = operator.send(address, {**form, "name": "Mine"}, status=409)
    assert "Somebody else changed this customer meanwhile" in page.text
    assert page.id("field-name").attributes["value"] == "Mine"
    assert [shown.text for shown in page.with_class("theirs")] == ["Stored now: Theirs"]
    operator.send(address, page.form(address), status=303)
    assert operator.open(address).all("h1")[0].text == "Mine"


def test_a_mistake_does_not_let_the_next_save_overwrite_unseen(operator, engine, origin):
    customer, _ = customers.register(engine, origin, "mistaken", {"name": "First"})
    address = f"/customers/{customer.id}"
    form = operator.open(f"{address}/edit").form(address)
    customers.edit(engine, origin, "mistaken", {"name": "Theirs"})
    page = operator.send(address, {**form, "name": "Mine", "email": "nowhere"}, status=400)
    operator.send(address, {**page.form(address), "email": ""}, status=409)


def test_saving_twice_is_one_change_and_no_conflict(operator, engine, origin):
    customer, _ = customers.register(engine, origin, "twice", {})
    address = f"/customers/{customer.id}"
    form = {**operator.open(f"{address}/edit").form(address), "name": "Once"}
    operator.send(address, form, status=303)
    operator.send(address, form, status=303)
    assert customer_with_bills(engine, customer.id, bills=1).customer.version == 2


def test_customers_are_found_by_any_part_of_name_id_or_e_mail(operator, engine, origin):
    customers.register(engine, origin, "id-4711", {"name": "Findable & Söhne", "email": "Rechnung@100%.example"})
    for words in ("d-47", "able %26 s", "findable", "rechnung@", "100%25.ex", "SÖHNE"):
        assert "id-4711" in operator.open(f"/customers?q={words}").id("customer-list").text, words
    for words in ("id_4711", "100_.", "nobody at all"):
        assert "No customers match" in operator.open(f"/customers?q={words}").text, words


def test_customers_come_fifty_a_page(operator, engine, origin):
    for n in range(55):
        customers.register(engine, origin, f"many-{n:02}", {})
    page = operator.open("/customers?q=many-")
    assert len(page.all("tbody")[0].all("tr")) == 50
    (older,) = page.all("a", rel="next")
    second = operator.open(older.attributes["href"])
    assert len(second.all("tbody")[0].all("tr")) == 5
    (first,) = second.all("a", rel="first")
    assert first.attributes["href"] == "/customers?q=many-"
    assert "No customers match" in operator.open("/customers?q=%00zz").text
    operator.open("/customers/new-id", status=404)


def test_what_is_typed_brings_the_list_alone_and_the_address(operator, new_bill):
    new_bill("typed-for")
    page = operator.open("/customers?q=typed-f", htmx=True)
    assert page.has("customer-list")
    assert not page.all("h1")
    assert operator.answer.headers["HX-Replace-Url"] == "/customers?q=typed-f"


def test_one_has_its_newest_bills_and_exact_totals_per_currency(operator, engine, new_bill, add, close):
    closed, open_, other = new_bill("totals"), new_bill("totals"), new_bill("somebody-else")
    add(closed, price="0.335")
    add(closed, price="10.5", code="JPY")
    add(open_, price="0.335")
    add(open_, quantity="3", price="0.000000000001", code="GEL")
    add(other, price="99")
    close(closed)
    page = operator.open(f"/customers/{closed.customer.id}")
    assert page.id("customer-total-USD").money() == ["0.335 USD", "0.34 USD"]
    assert page.id("customer-total-GEL").money() == ["0.000000000003 GEL"]
    assert page.id("customer-total-JPY").money() == ["11 JPY"]
    assert "2: 1 open, 1 closed" in page.text
    assert [link.attributes["href"] for link in page.all("a") if link.text == "All bills of this customer"] == [
        "/bills?customer=totals"
    ]


def test_totals_are_those_of_all_bills_however_many_are_shown(engine, origin, new_bill, add):
    made = [new_bill("many-bills") for _ in range(5)]
    for n, bill in enumerate(made):
        add(bill, price=f"{n}.1")
    shown = customer_with_bills(engine, made[0].customer.id, bills=2)
    assert [bill.id for bill in shown.bills] == [made[4].id, made[3].id]
    assert [(total.currency, total.accruing, total.payable) for total in shown.totals] == [
        ("USD", Decimal("10.5"), None)
    ]
    assert shown.counts == {BillStatus.OPEN: 5, BillStatus.CLOSING: 0, BillStatus.CLOSED: 0}


def test_what_was_taken_back_is_a_total_of_nothing(operator, engine, origin, new_bill, add):
    bill = new_bill("taken-back")
    item = add(bill, price="5")
    line_items.reverse(engine, origin, bill.id, item.id, "twice")
    assert operator.open(f"/customers/{bill.customer.id}").id("customer-total-USD").money() == ["0 USD"]


def test_one_without_bills_says_so(operator, engine, origin):
    customer, _ = customers.register(engine, origin, "without", {})
    page = operator.open(f"/customers/{customer.id}")
    assert "No bills yet." in page.text
    assert "Registered" in page.text


def test_a_viewer_sees_one_and_changes_nothing(viewer, new_bill):
    bill = new_bill("viewed")
    page = viewer.open(f"/customers/{bill.customer.id}")
    assert not [link for link in page.all("a") if link.text in {"Edit", "New bill"}]
    assert viewer.client.post(f"/customers/{bill.customer.id}").status_code == 403


def test_the_search_finds_among_ten_thousand_and_has_indexes_for_more(operator, engine):
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO customers (id, external_id, name, email)"
                " SELECT gen_random_uuid(), 'bulk-' || n, 'Company ' || md5(n::text), 'ap' || n || '@bulk.example'"
                " FROM generate_series(1, 10000) n"
            )
        )
    with engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE customers")
        # Among ten thousand, reading all of them is as fast; among more, the indexes must be able to serve.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_indexscan = off")
        plan = connection.execute(
            text(
                "EXPLAIN SELECT * FROM customers WHERE (external_id || ' ' || name) ILIKE '%bulk-7777%'"
                " OR email ILIKE '%bulk-7777%' ORDER BY id DESC LIMIT 51"
            )
        ).scalars()
        indexes = "\n".join(plan)
        assert "ix_customers_search" in indexes
        assert "ix_customers_email" in indexes
    assert len(operator.open("/customers?q=ap777").all("tbody")[0].all("tr")) == 11
