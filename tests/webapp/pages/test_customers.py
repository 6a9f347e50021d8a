"""Customers."""

from billing.ledger import customers


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


def test_a_customer_is_edited_and_has_its_bills(operator, new_bill):
    bill = new_bill("edited")
    address = f"/customers/{bill.customer.id}"
    page = operator.submit(f"{address}/edit", address, name="New name", email="nowhere", status=400)
    assert page.id("field-email-error").text == "E-mail must be an e-mail address."
    assert page.id("field-name").attributes["value"] == "New name"
    page = operator.submit(f"{address}/edit", address, name="New name")
    assert page.all("h1")[0].text == "New name"
    assert len(page.all("tbody")[0].all("tr")) == 1


def test_customers_come_fifty_a_page(operator, engine, origin):
    for n in range(55):
        customers.register(engine, origin, f"many-{n:02}", {})
    page = operator.open("/customers?q=many-")
    assert len(page.all("tbody")[0].all("tr")) == 50
    (older,) = page.all("a", rel="next")
    assert len(operator.open(older.attributes["href"]).all("tbody")[0].all("tr")) == 5
    assert "No customers match" in operator.open("/customers?q=%00zz").text
    operator.open("/customers/new-id", status=404)
