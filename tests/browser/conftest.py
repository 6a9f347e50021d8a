"""A real browser before the real application: its server in a thread, PostgreSQL behind it, Temporal out of reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine

from billing.bill import Bill, LineItem, LineItemDraft
from billing.ledger import bills, line_items
from billing.origin import Actor, ActorKind, Origin, by_the_system
from billing.period import Period
from billing.sealing import Seal
from billing.settings import DEFAULT_CURRENCIES, Settings
from tests.browser.states import GUARDED, Place
from tests.browser.visits import Visits, sign_in
from tests.support.complaints import Complaints
from tests.support.served import served
from tests.support.visitor import PASSWORD
from tests.support.world import build
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import second_factors, user_changes
from webapp.identity.roles import Role

SECRET = "a secret of the tests"
USUAL_PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")

# As soon as it is there, a test goes on: how quick something is, is measured where it matters.
expect.set_options(timeout=30_000)


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


@pytest.fixture(scope="module")
def site(database_url: str, engine: Engine) -> Iterator[str]:
    """The address of a running application with one operator."""
    user_changes.create(engine, email=f"{Role.OPERATOR}@example.com", password=PASSWORD, role=Role.OPERATOR)
    with served(_app(database_url)) as address:
        yield address


@pytest.fixture(scope="module")
def complaints() -> Complaints:
    """Listens to every browser of these tests."""
    return Complaints()


@pytest.fixture(autouse=True)
def no_complaints(complaints: Complaints) -> Iterator[None]:
    """No script fails and nothing breaks the content security policy, whatever a test does."""
    complaints.taken()
    yield
    assert complaints.taken() == []


@pytest.fixture
def open_browser(chromium: Browser, site: str, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """Opens a browser of its own in which the operator has signed in."""
    contexts = []

    def open_(*, script: bool = True) -> Page:
        contexts.append(complaints.listen(chromium.new_context(base_url=site, java_script_enabled=script)))
        page = contexts[-1].new_page()
        sign_in(page, Role.OPERATOR)
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        # It is seen before the page's scripts have run, which keys need.
        page.wait_for_load_state()
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def names(engine: Engine, site: str) -> dict[str, str]:
    """Of one of everything, with the site's operator somebody of each role too."""
    for role in (Role.ADMIN, Role.VIEWER):
        user = user_changes.create(engine, email=f"{role}@example.com", password=PASSWORD, role=role)
    return {**build(engine, secret_key=SECRET), "user": str(user), "recovery_code": _guarded(engine)}


def _guarded(engine: Engine) -> str:
    """A recovery code of an account with a second factor."""
    user = user_changes.create(engine, email=f"{GUARDED}@example.com", password=PASSWORD, role=Role.OPERATOR)
    secret = second_factors.new_secret()
    code = pyotp.TOTP(secret).now()
    return second_factors.enrol(engine, Seal(SECRET), by_the_system("test"), user, secret, code)[0]


@pytest.fixture(scope="module")
def visits(
    chromium: Browser,
    complaints: Complaints,
    site: str,
    names: dict[str, str],
    database_url: str,
    new_database: Callable[[], str],
) -> Iterator[Visits]:
    """For the states that are declared in `states.py`."""
    with ExitStack() as places:
        addresses = {
            Place.USUAL: site,
            Place.PROVIDED: places.enter_context(served(_app(database_url, oxr_app_id="unused"))),
            Place.BARE: places.enter_context(served(_bare_app(new_database()))),
            Place.CUT_OFF: places.enter_context(served(_app("postgresql://billing@127.0.0.1:1/billing"))),
        }
        opened = Visits(chromium, complaints, addresses, names)
        places.callback(opened.end)
        yield opened


def _bare_app(database_url: str) -> Flask:
    """With somebody who can sign in, and nothing else."""
    app = _app(database_url)
    user_changes.create(
        app.extensions["pave"].engine, email=f"{Role.OPERATOR}@example.com", password=PASSWORD, role=Role.OPERATOR
    )
    return app


def _app(database_url: str, **more: str) -> Flask:
    settings = Settings(database_url, temporal_address="127.0.0.1:1", **more)
    return create_app(Config(settings, secret_key=SECRET, log_level="ERROR"))


@pytest.fixture
def add(engine: Engine) -> Callable[..., LineItem]:
    """Adds a line as somebody else does."""
    origin = Origin(Actor(ActorKind.API_KEY, "key", "ledger-sync"), uuid4(), "request")

    def add_(bill: Bill, description: str, price: str, code: str = "USD") -> LineItem:
        draft = LineItemDraft.parse(description, "1", price, code, offered=DEFAULT_CURRENCIES)
        return line_items.add(engine, origin, bill.id, draft)[1]

    return add_


@pytest.fixture
def bill(engine: Engine) -> Bill:
    """An open bill without lines."""
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=1), now + timedelta(days=30))
    return bills.open_bill(engine, by_the_system("test"), "hung", period).bill
