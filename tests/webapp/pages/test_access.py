"""Who may not do what."""

import pytest

from webapp.identity.access import PUBLIC, declared
from webapp.identity.roles import Role

PLACE = "00000000-0000-7000-8000-000000000000"


def routes(app):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("pages."):
            for method in rule.methods & {"GET", "POST"}:
                yield method, rule.rule, declared(app, rule.endpoint)


def address_of(rule):
    for name in ("bill_id", "item_id", "customer_id", "snapshot_id", "link_id"):
        rule = rule.replace(f"<{name}>", PLACE)
    return rule


def test_nobody_sees_anything_without_signing_in(app, visitor):
    closed = [(method, rule) for method, rule, role in routes(app) if role != PUBLIC]
    assert len(closed) > 20
    for method, rule in closed:
        visitor.answer = visitor.client.open(address_of(rule), method=method)
        assert visitor.answer.status_code == 303, (method, rule)
        assert visitor.went_to.startswith("/session/new"), (method, rule)


def test_a_viewer_changes_nothing(app, viewer):
    for method, rule, role in routes(app):
        if role in (Role.OPERATOR, Role.ADMIN):
            answer = viewer.client.open(address_of(rule), method=method)
            assert answer.status_code == 403, (method, rule)
            assert "Your role does not allow this" in answer.text


@pytest.mark.parametrize("address", ["/bills", "/customers", "/rates"])
def test_a_viewer_sees_no_control_that_changes_anything(viewer, address):
    page = viewer.open(address)
    assert [form.attributes["action"] for form in page.all("form", method="post")] == ["/session/end"]


def test_a_viewer_sees_a_bill_without_controls(viewer, new_bill, add):
    bill = new_bill()
    add(bill)
    page = viewer.open(f"/bills/{bill.id}")
    assert not page.has("add-row")
    assert not page.with_class("act-reverse")
    assert not page.has("close-bill")


def test_an_operator_decides_nothing_about_rates(operator):
    assert operator.client.post(f"/rates/{PLACE}/acceptance").status_code == 403
