"""Addresses from kept patterns are those that Flask makes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, url_for

from webapp.pages import addresses
from webapp.pages.addresses import address

BILL = {"bill_id": uuid4()}


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("pages.home", {}),
        ("pages.show_bill", BILL),
        ("pages.show_bill", {"bill_id": "a b/c?d"}),
        ("pages.show_bill", {**BILL, "before": 51, "q": None}),
        ("pages.show_bill", {**BILL, "q": "100 % {0} & more", "before": 2}),
        ("pages.show_bill", {**BILL, "q": ""}),
        ("pages.show_bill", {**BILL, "q": "A-VALUE-0-"}),
        ("pages.show_explanation", {**BILL, "kind": "converted", "of": "USD", "currency": "GEL"}),
        ("pages.new_bill", {"from": uuid4()}),
        ("pages.show_bill", {**BILL, "_anchor": "items"}),
        ("pages.show_bill", {**BILL, "_external": True}),
        (".show_bill", BILL),
    ],
)
def test_it_is_what_flask_makes(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    with app.test_request_context("/bills"):
        for _ in range(2):
            assert address(endpoint, **values) == url_for(endpoint, **values)


def test_each_root_has_its_own(app: Flask) -> None:
    for root in ("", "/billing", "/{0.__class__}", ""):
        with app.test_request_context("/bills", environ_overrides={"SCRIPT_NAME": root}):
            assert address("pages.show_bill", **BILL) == f"{root}/bills/{BILL['bill_id']}"


def test_flask_is_asked_once_for_all_that_differ_in_plain_values(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        addresses, "url_for", lambda endpoint, **values: asked.append(endpoint) or url_for(endpoint, **values)
    )
    addresses._pattern.cache_clear()
    with app.test_request_context("/"):
        made = {address("pages.show_bill", bill_id=uuid4(), before=before) for before in range(1, 20)}
    assert len(made) == 19
    assert asked == ["pages.show_bill"]
