"""Nobody's text is ever markup, and above all nothing that htmx or a browser would act upon."""

from __future__ import annotations

import pytest

from billing.ledger import customers, line_items
from tests.support.page import Element, parse
from tests.support.sharing import Sharing
from webapp.identity import api_keys
from webapp.identity.roles import Role

HOSTILE = (
    '"><b id=probe hx-get="/probe" hx-trigger="load">x</b>'
    "'><img src=/probe onerror=probe()>"
    '" hx-get="/probe" hx-trigger="load" x="'
    "<script>probe()</script>{{ 7 * 7 }}"
)
ACTED_UPON = ("hx-", "data-hx-", "on", "href", "src", "action", "formaction", "style")


def what_would_act(page: Element) -> list[str]:
    """Attributes that a browser or htmx acts upon and that the text found its way into, elements that it made."""
    made = [element.tag for element in page if element.attributes.get("id") == "probe"]
    made += [element.text for element in page.all("script") if "probe" in element.text]
    led = [
        f"{element.tag} {name}={value}"
        for element in page
        for name, value in element.attributes.items()
        if name.startswith(ACTED_UPON) and "/probe" in value.replace("%2F", "/").split("?")[0]
    ]
    return made + led


@pytest.fixture
def shown(engine, origin, new_bill, add):
    """A bill with the text wherever somebody may write some."""
    name = f"c{HOSTILE[:200]}"
    bill = new_bill(name)
    customers.edit(engine, origin, name, {"name": HOSTILE[:255], "billing_address": HOSTILE})
    item = add(bill, HOSTILE)
    add(bill, HOSTILE)
    line_items.reverse(engine, origin, bill.id, item.id, HOSTILE)
    return bill


def test_on_pages_of_the_console_it_stays_text(shown, admin, engine):
    api_keys.create(engine, name=HOSTILE[:200], role=Role.VIEWER)
    key = api_keys.every(engine)[-1]
    customer = shown.customer.id
    seen = 0
    for address in (
        "/", "/bills", f"/bills/{shown.id}", f"/bills/{shown.id}/events", f"/customers/{customer}", "/customers",
        f"/customers/{customer}/edit", "/settings/api-keys", f"/settings/api-keys/{key.id}", "/bills?q=%3Cb%20hx-get",
        "/bills?q=%22%20hx-get=%22/probe%22%20x=%22", "/customers?q=%22%20hx-get=%22/probe%22",
    ):  # fmt: skip
        admin.answer = admin.client.get(address)
        if admin.answer.status_code == 200:
            page = admin.open(address)
            assert what_would_act(page) == [], address
            seen += "hx-get" in page.text
    assert seen >= 5


def test_on_the_customers_page_too(shown, app, engine, origin):
    sharing = Sharing(engine, origin, app.config["SECRET_KEY"])
    visited = app.test_client().get(sharing.address(shown))
    page = parse(visited.text)
    assert what_would_act(page) == []
    assert HOSTILE[:30] in visited.text.replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")


def test_what_was_typed_wrong_comes_back_as_text(admin):
    page = admin.submit("/customers/new", "/customers", customer_id="", name=HOSTILE, email=HOSTILE)
    assert admin.answer.status_code == 400
    assert what_would_act(page) == []
    assert any(element.attributes.get("value") == HOSTILE for element in page.all("input"))


def test_in_a_fragment_for_htmx_too(shown, operator):
    fragment = operator.open(f"/bills/{shown.id}/line-items?q=probe", htmx=True)
    assert what_would_act(fragment) == []
