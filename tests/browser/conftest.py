"""A real browser before the real application: its server in a thread, PostgreSQL behind it, Temporal out of reach."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine
from werkzeug.serving import WSGIRequestHandler, make_server

from billing.bill import Bill, LineItem, LineItemDraft
from billing.ledger import line_items
from billing.origin import Actor, ActorKind, Origin
from billing.settings import DEFAULT_CURRENCIES, Settings
from tests.support.visitor import PASSWORD
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import users
from webapp.identity.roles import Role

OPERATOR = "operator@example.com"
USUAL_PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")

expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole run: while Playwright lives, no other test of this thread can run an event loop."""
    places = [os.environ.get("CHROMIUM", ""), *USUAL_PLACES]
    program = next((place for place in places if place and os.access(place, os.X_OK)), None)
    if program is None:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("no Chromium on this machine; set CHROMIUM to its path")
    with sync_playwright() as playwright:
        # Root, in a container, can't have Chromium's sandbox.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """The application logs its requests itself."""


@pytest.fixture(scope="module")
def site(database_url: str, engine: Engine) -> Iterator[str]:
    """The address of a running application with one operator."""
    settings = Settings(database_url, temporal_address="127.0.0.1:1")
    app: Flask = create_app(Config(settings, secret_key="a secret of the tests", log_level="ERROR"))
    users.create(engine, email=OPERATOR, password=PASSWORD, role=Role.OPERATOR)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["pave"].background.shutdown()
    app.extensions["pave"].engine.dispose()


@pytest.fixture
def open_browser(chromium: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Opens a browser of its own in which the operator has signed in; no console may complain, whatever happens."""
    contexts, complaints = [], []

    def open_(*, script: bool = True) -> Page:
        context = chromium.new_context(base_url=site, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/session/new")
        page.get_by_label("E-mail").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/bills")
        return page

    yield open_
    for context in contexts:
        context.close()
    # That the server refused a form is no fault of the page; the browser notes it all the same.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.fixture
def add(engine: Engine) -> Callable[..., LineItem]:
    """Adds a line as somebody else does."""
    origin = Origin(Actor(ActorKind.API_KEY, "key", "ledger-sync"), uuid4(), "request")

    def add_(bill: Bill, description: str, price: str, code: str = "USD") -> LineItem:
        draft = LineItemDraft.parse(description, "1", price, code, offered=DEFAULT_CURRENCIES)
        return line_items.add(engine, origin, bill.id, draft)[1]

    return add_
