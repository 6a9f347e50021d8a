"""What an application has once: no request makes it again, nor asks whether it has it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.api import HUNG, Api
from webapp.api.recent_items import RecentItems


def test_no_request_makes_a_store_of_recent_items(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    init = RecentItems.__init__
    monkeypatch.setattr(RecentItems, "__init__", lambda self: (made.append(self), init(self))[1])

    bill_id = api.opened()
    for _ in range(3):
        assert api.post(f"/bills/{bill_id}/line-items", HUNG).status_code == 200

    assert made == []


def test_no_function_of_a_request_is_a_coroutine_as_the_application_takes_none(app: Flask) -> None:
    assert [function for function in functions(app) if inspect.iscoroutinefunction(function)] == []

    async def view() -> None: ...

    assert app.ensure_sync(view) is view


def functions(app: Flask) -> Iterator[object]:
    yield from app.view_functions.values()
    for layers in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for named in layers.values():
            yield from named
    for by_code in app.error_handler_spec.values():
        for by_error in by_code.values():
            yield from by_error.values()
