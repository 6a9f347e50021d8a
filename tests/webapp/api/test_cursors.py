from __future__ import annotations

import string

import pytest
from flask import Flask

from billing.errors import InvalidArgument
from tests.support.api import Api
from webapp.api import cursors

ALPHABET = string.ascii_letters + string.digits + "-_."


def test_a_cursor_with_any_character_changed_is_refused(app: Flask, api: Api):
    """In its signature's last character some bits decode to nothing: those count as well."""
    bill_id = api.opened()
    for _ in range(2):
        api.added(bill_id)
    cursor = api.get(f"/bills/{bill_id}/line-items?limit=1").json["next_cursor"]
    with app.app_context():
        assert cursors.read(cursor, "line-items", bill_id) == 1
        accepted = [changed for changed in with_one_change(cursor) if is_read(changed, bill_id)]
    assert accepted == []


@pytest.mark.parametrize("change", ["{}=", "{}==", "{}\n", " {}", ".{}", "{}A"])
def test_a_cursor_with_something_added_is_refused(app: Flask, change: str):
    with app.app_context():
        cursor = cursors.sign(1, "line-items", "a bill")
        assert is_read(cursor, "a bill")
        assert not is_read(change.format(cursor), "a bill")


def with_one_change(cursor: str) -> list[str]:
    return [
        cursor[:place] + other + cursor[place + 1 :]
        for place, character in enumerate(cursor)
        for other in ALPHABET
        if other != character
    ]


def is_read(cursor: str, bill_id: str) -> bool:
    try:
        cursors.read(cursor, "line-items", bill_id)
    except InvalidArgument:
        return False
    return True
