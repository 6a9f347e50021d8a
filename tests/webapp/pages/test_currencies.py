"""Currencies offered, as administrators choose them."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import MultiDict

from billing.ledger import settings
from billing.settings import DEFAULT_CURRENCIES

ADDRESS = "/settings/currencies"


@pytest.fixture(autouse=True)
def _all_offered(engine, origin, app):
    settings.offer(engine, origin, DEFAULT_CURRENCIES, ceiling=DEFAULT_CURRENCIES)
    app.extensions["pave"].offered.renewed()


def choose(admin, *codes, status=303, **typed):
    form = {**admin.open(ADDRESS).form(ADDRESS), **typed}
    del form["offered"]
    return admin.send(ADDRESS, MultiDict([*form.items(), *(("offered", code) for code in codes)]), status=status)


def ticked(page):
    return [box.attributes["value"] for box in page.all("input", name="offered") if "checked" in box.attributes]


def test_what_is_ticked_is_offered(admin, operator, new_bill):
    assert ticked(admin.open(ADDRESS)) == list(DEFAULT_CURRENCIES)
    choose(admin, "GEL", "KWD")
    page = admin.open(ADDRESS)
    assert ticked(page) == ["GEL", "KWD"]
    assert "Kuwaiti Dinar 3 decimals" in page.text
    assert "USD" in page.with_class("last-change")[0].text
    bill = new_bill()
    options = operator.open(f"/bills/{bill.id}").id("add-currency").all("option")
    assert [option.text for option in options] == ["GEL", "KWD"]


def test_one_must_stay(admin):
    page = choose(admin, status=400)
    assert "At least one currency must be offered." in page.text
    assert ticked(page) == []
    assert ticked(admin.open(ADDRESS)) == list(DEFAULT_CURRENCIES)


def test_nobody_offers_what_is_not_configured(admin):
    assert "Unsupported currency." in choose(admin, "USD", "XXX", status=400).text


def test_another_ones_choice_is_not_overwritten_unseen(admin, engine, origin):
    seen = admin.open(ADDRESS).form(ADDRESS)["version"]
    settings.offer(engine, origin, ["USD", "EUR"], ceiling=DEFAULT_CURRENCIES)
    page = choose(admin, "USD", "GEL", version=seen, status=409)
    assert "Somebody else changed the currencies meanwhile" in page.text
    assert ticked(page) == ["USD", "GEL"]
    marks = {box.with_class("tag")[0].text for box in page.with_class("currency") if box.with_class("tag")}
    assert marks == {"offered now", "not offered now"}
    choose(admin, "USD", "GEL", version=page.form(ADDRESS)["version"])
    assert ticked(admin.open(ADDRESS)) == ["USD", "GEL"]


def test_a_viewer_sees_them_and_changes_nothing(viewer, operator):
    page = viewer.open(ADDRESS)
    assert "Georgian Lari" in page.text
    assert not page.all("form", action=ADDRESS)
    assert not page.all("input", type="checkbox")
    for caller in (viewer, operator):
        assert caller.client.post(ADDRESS, data={"offered": "USD"}).status_code == 403
