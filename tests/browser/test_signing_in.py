"""Signing in as people do it: by keyboard, with a second factor, by a provider, and again in the middle of typing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import Engine, text

from billing.bill import Bill
from billing.ledger import bills, reads
from billing.origin import Actor, ActorKind, Origin
from billing.period import Period
from billing.settings import Settings
from tests.support.authenticator import code, stop_the_clock
from tests.support.complaints import Complaints
from tests.support.oidc_provider import OidcProvider, oidc_provider
from tests.support.served import served
from tests.support.visitor import PASSWORD
from webapp.app import create_app
from webapp.config import Config
from webapp.identity import api_keys, user_changes
from webapp.identity.roles import Role
from webapp.identity.sessions import RequireTotp


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as running:
        yield running


@pytest.fixture(scope="module")
def site(database_url: str, provider: OidcProvider) -> Iterator[str]:
    """One that asks administrators for a second factor, and knows a provider."""
    settings = Settings(database_url, temporal_address="127.0.0.1:1")
    config = Config(
        settings, "a secret of the tests", log_level="ERROR", require_totp=RequireTotp.ADMINS, oidc=provider.settings
    )
    app = create_app(config)
    with served(app) as address:
        app.extensions["pave"].config = replace(config, public_url=address)
        yield address


@pytest.fixture(autouse=True)
def codes_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_the_clock(monkeypatch)


@pytest.fixture
def new_browser(chromium: Browser, site: str, complaints: Complaints) -> Iterator[Callable[..., BrowserContext]]:
    """A browser of its own, in which nobody has signed in."""
    contexts: list[BrowserContext] = []

    def new(**options: object) -> BrowserContext:
        contexts.append(complaints.listen(chromium.new_context(base_url=site, **options)))
        return contexts[-1]

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def new_user(engine: Engine) -> Callable[[Role], str]:
    def new(role: Role) -> str:
        email = f"{role}-{uuid4().hex[:6]}@example.com"
        user_changes.create(engine, email=email, password=PASSWORD, role=role)
        return email

    return new


@pytest.fixture
def bill(engine: Engine) -> Bill:
    now = datetime.now(UTC)
    origin = Origin(Actor(ActorKind.API_KEY, "key", "ledger-sync"), uuid4(), "request")
    return bills.open_bill(engine, origin, "acme", Period(now, now + timedelta(days=30))).bill


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """With the keyboard alone, on the sign-in page or in its dialog."""
    field = page.get_by_label("E-mail")
    expect(field).to_be_visible()
    if field.input_value() != email:
        field.fill(email)
    page.get_by_label("Password").focus()
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def signed_in(page: Page, email: str) -> Page:
    page.goto("/session/new")
    sign_in(page, email)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.wait_for_load_state()
    return page


def night_passes(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE sessions SET last_seen_at = now() - interval '13 hours'"))


def descriptions(engine: Engine, bill: Bill) -> list[str]:
    return [item.description for item in reads.bill_with_items(engine, bill.id, limit=50)[1]]


def type_into_focus(page: Page, text: str) -> None:
    """A page that has just come takes a moment to put the cursor into its field."""
    page.wait_for_function("document.activeElement.matches('input')")
    page.keyboard.type(text)


def enrol(page: Page) -> str:
    """Types what the app shows, and has kept the recovery codes; the secret."""
    secret = page.locator("#shown-secret").inner_text().replace(" ", "")
    type_into_focus(page, code(secret, steps=-1))
    page.keyboard.press("Enter")
    expect(page.locator("#shown-codes li")).to_have_count(10)
    return secret


def type_line(page: Page, description: str) -> None:
    page.get_by_label("Description", exact=True).focus()
    for value in (description, "6", "0.6"):
        page.keyboard.type(value)
        page.keyboard.press("Tab")


class TestByKeyboard:
    def test_with_a_second_factor_that_is_required(self, new_browser, new_user):
        email = new_user(Role.ADMIN)
        page = new_browser().new_page()
        page.goto("/rates")
        type_into_focus(page, email)
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
        expect(page.get_by_alt_text("QR code")).to_be_visible()
        page.wait_for_function("document.querySelector('.qr').naturalWidth > 100")
        secret = enrol(page)
        page.get_by_role("button", name="Sign out").press("Enter")

        sign_in(page, email)
        expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
        type_into_focus(page, "000000")
        page.keyboard.press("Enter")
        expect(page.locator("#sign-in-code-error")).to_contain_text("doesn't fit")
        page.get_by_label("Code").fill(code(secret))
        page.keyboard.press("Enter")
        expect(page.get_by_role("navigation", name="Main")).to_contain_text(email)

    def test_back_after_the_recovery_codes_shows_them_no_more(self, new_browser, new_user):
        page = new_browser().new_page()
        page.goto("/session/new")
        sign_in(page, new_user(Role.ADMIN))
        enrol(page)
        page.get_by_role("link", name="I have kept them").press("Enter")
        page.wait_for_url("**/")
        page.go_back()

        expect(page.get_by_role("heading", name="New recovery codes")).to_be_visible()
        expect(page.locator("#shown-codes")).to_have_count(0)

    def test_changing_the_password_ends_the_other_browsers(self, new_browser, new_user):
        email = new_user(Role.OPERATOR)
        here, there = (signed_in(new_browser().new_page(), email) for _ in range(2))
        here.goto("/settings/account")
        here.get_by_label("Current password").focus()
        for typed in (PASSWORD, "another long password", "another long password"):
            here.keyboard.type(typed)
            here.keyboard.press("Tab")
        here.keyboard.press("Enter")
        expect(here.locator("#notices")).to_contain_text("Your password is changed")

        there.goto("/bills")
        expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
        sign_in(there, email, "another long password")
        expect(there).to_have_url("/bills")

    def test_ending_another_browsers_session(self, new_browser, new_user):
        email = new_user(Role.VIEWER)
        here, there = (signed_in(new_browser().new_page(), email) for _ in range(2))
        here.goto("/settings/account")
        here.get_by_role("button", name="Sign out Chrome on Linux").press("Enter")
        expect(here.locator("#notices")).to_contain_text("That browser is signed out")

        there.reload()
        expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
        here.reload()
        expect(here.get_by_role("heading", name="Settings")).to_be_visible()

    def test_going_back_after_signing_out_shows_nothing(self, new_browser, new_user):
        page = signed_in(new_browser().new_page(), new_user(Role.VIEWER))
        page.goto("/bills")
        page.get_by_role("button", name="Sign out").press("Enter")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

        page.go_back()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_role("navigation", name="Main")).to_have_count(0)


class TestAKeyIsShownOnce:
    @pytest.fixture
    def administrator(self, new_browser, new_user) -> Page:
        page = new_browser().new_page()
        page.goto("/session/new")
        sign_in(page, new_user(Role.ADMIN))
        enrol(page)
        return page

    @pytest.fixture
    def made(self, administrator) -> str:
        """The name of a new key, which the page shows."""
        name = f"erp-{uuid4().hex[:6]}"
        administrator.goto("/settings/api-keys/new")
        type_into_focus(administrator, name)
        administrator.keyboard.press("Enter")
        expect(administrator.locator("#shown-key")).to_contain_text("pave_")
        return name

    def keys_named(self, engine: Engine, name: str) -> int:
        return [key.name for key in api_keys.every(engine)].count(name)

    def test_a_reload_neither_shows_it_nor_makes_another(self, administrator, made, engine):
        administrator.reload()
        expect(administrator.get_by_role("heading", name=made)).to_be_visible()
        expect(administrator.locator("#shown-key")).to_have_count(0)
        assert self.keys_named(engine, made) == 1

    def test_nor_does_going_back(self, administrator, made, engine):
        administrator.get_by_role("navigation", name="Settings").get_by_role("link", name="API keys").press("Enter")
        expect(administrator.get_by_role("link", name=made)).to_be_visible()
        administrator.go_back()
        expect(administrator.get_by_role("heading", name=made)).to_be_visible()
        expect(administrator.locator("#shown-key")).to_have_count(0)
        administrator.go_back()
        expect(administrator.get_by_label("Name", exact=True)).to_be_visible()
        assert self.keys_named(engine, made) == 1


class TestTheSessionEndsWhileTyping:
    def test_a_dialog_comes_and_enter_sends_the_line_after_it(self, new_browser, new_user, engine, bill):
        email = new_user(Role.OPERATOR)
        page = signed_in(new_browser().new_page(), email)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Night fee")
        page.get_by_label("Unit price", exact=True).focus()
        night_passes(engine)
        page.keyboard.press("Enter")

        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        expect(page.get_by_label("E-mail")).to_have_value(email)
        type_into_focus(page, "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#sign-in-slot .problem")).to_contain_text("don't fit")
        sign_in(page, email)
        expect(page.locator("#sign-in-slot dialog")).to_have_count(0)
        expect(page.locator("#notices")).to_contain_text("signed in again")

        expect(page.get_by_label("Description", exact=True)).to_have_value("Night fee")
        expect(page.get_by_label("Unit price", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Night fee")
        assert descriptions(engine, bill) == ["Night fee"]

    def test_with_a_second_factor_too(self, new_browser, new_user, engine, bill):
        email = new_user(Role.ADMIN)
        page = new_browser().new_page()
        page.goto("/session/new")
        sign_in(page, email)
        secret = enrol(page)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Second factor fee")
        night_passes(engine)
        page.get_by_label("Description", exact=True).press("Enter")
        sign_in(page, email)
        expect(page.get_by_role("dialog", name="Second factor")).to_be_visible()
        type_into_focus(page, code(secret))
        page.keyboard.press("Enter")

        expect(page.locator("#sign-in-slot dialog")).to_have_count(0)
        expect(page.get_by_label("Description", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Second factor fee")
        assert descriptions(engine, bill) == ["Second factor fee"]

    def test_a_dialog_that_was_being_filled_stays_under_it(self, new_browser, new_user, engine, bill):
        email = new_user(Role.OPERATOR)
        page = signed_in(new_browser().new_page(), email)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Wrong fee")
        page.get_by_label("Description", exact=True).press("Enter")
        page.get_by_role("link", name="Reverse Wrong fee").click()
        page.get_by_label("Reason").fill("Entered twice")
        night_passes(engine)
        page.keyboard.press("Enter")
        sign_in(page, email)
        expect(page.locator("#sign-in-slot dialog")).to_have_count(0)

        expect(page.get_by_label("Reason")).to_have_value("Entered twice")
        page.get_by_role("button", name="Reverse line").press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Entered twice")

    def test_somebody_else_is_told_whose_page_it_is(self, new_browser, new_user, engine, bill):
        ann, bob = new_user(Role.OPERATOR), new_user(Role.OPERATOR)
        page = signed_in(new_browser().new_page(), ann)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Handed over")
        night_passes(engine)
        page.get_by_label("Description", exact=True).press("Enter")
        sign_in(page, bob)

        expect(page.locator("#notices")).to_contain_text(f"This page was opened by {ann}")
        expect(page.locator("#notices")).to_contain_text(f"signed in as {bob}")
        expect(page.get_by_label("Description", exact=True)).to_have_value("Handed over")

    def test_not_now_keeps_the_page_and_asks_again_at_the_next_enter(self, new_browser, new_user, engine, bill):
        page = signed_in(new_browser().new_page(), new_user(Role.OPERATOR))
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Later fee")
        night_passes(engine)
        description = page.get_by_label("Description", exact=True)
        description.press("Enter")
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#sign-in-slot dialog")).to_have_count(0)
        expect(description).to_have_value("Later fee")
        description.press("Enter")
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()

    def test_who_signed_in_anew_in_another_tab_sends_it_once_more(self, new_browser, new_user, engine, bill):
        email, context = new_user(Role.OPERATOR), new_browser()
        page = signed_in(context.new_page(), email)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Two tabs")
        signed_in(context.new_page(), email)
        page.get_by_label("Description", exact=True).press("Enter")
        expect(page.locator("#notices")).to_contain_text("Nothing was sent")
        page.get_by_label("Description", exact=True).press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Two tabs")
        assert descriptions(engine, bill) == ["Two tabs"]

    def test_without_script_the_line_comes_along(self, new_browser, new_user, engine, bill):
        email = new_user(Role.OPERATOR)
        page = signed_in(new_browser(java_script_enabled=False).new_page(), email)
        page.goto(f"/bills/{bill.id}")
        type_line(page, "Kept without script")
        night_passes(engine)
        page.get_by_label("Description", exact=True).press("Enter")
        expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
        sign_in(page, email)
        expect(page.locator(".kept")).to_contain_text("Kept without script")
        assert descriptions(engine, bill) == []
        expect(page.get_by_role("button", name="Send it now")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Kept without script")
        assert descriptions(engine, bill) == ["Kept without script"]


class TestByTheProvider:
    @pytest.fixture
    def ann(self, provider: OidcProvider) -> str:
        subject = f"ann-{uuid4().hex[:6]}"
        provider.knows(subject, email=f"{subject}@example.com", email_verified=True, groups=["finance"])
        return subject

    def there(self, page: Page, subject: str) -> None:
        page.locator("input[name=sub]").fill(subject)
        page.keyboard.press("Enter")

    def test_there_and_back_to_where_one_was_going(self, new_browser, ann):
        page = new_browser().new_page()
        page.goto("/rates")
        page.get_by_role("link", name="Sign in with Example Login").press("Enter")
        self.there(page, ann)

        expect(page.get_by_role("heading", name="Rates", exact=True)).to_be_visible()
        expect(page.get_by_role("navigation", name="Main")).to_contain_text(f"{ann}@example.com")

    def test_without_a_role_back_at_the_sign_in_page(self, new_browser, provider, ann):
        provider.knows(ann, email=f"{ann}@example.com", email_verified=True, groups=["cleaners"])
        page = new_browser().new_page()
        page.goto("/session/new")
        page.get_by_role("link", name="Sign in with Example Login").click()
        self.there(page, ann)
        expect(page.locator(".problem")).to_contain_text("Example Login gives you no role here")

    def test_in_another_tab_while_a_page_waits(self, new_browser, ann, engine, bill):
        context = new_browser()
        page = context.new_page()
        page.goto(f"/bills/{bill.id}")
        page.get_by_role("link", name="Sign in with Example Login").click()
        self.there(page, ann)
        type_line(page, "Waited for the provider")
        night_passes(engine)
        page.get_by_label("Description", exact=True).press("Enter")
        with context.expect_page() as opened:
            page.get_by_role("link", name="Sign in with Example Login").click()
        self.there(opened.value, ann)
        expect(opened.value.get_by_role("heading", name="You are signed in")).to_be_visible()
        opened.value.close()
        page.get_by_role("button", name="Go on").click()

        expect(page.locator("#sign-in-slot dialog")).to_have_count(0)
        page.get_by_label("Description", exact=True).press("Enter")
        expect(page.locator("tbody.all")).to_contain_text("Waited for the provider")


def test_too_many_attempts_are_told_when_to_come_back(new_browser, new_user):
    email = new_user(Role.VIEWER)
    page = new_browser().new_page()
    page.goto("/session/new")
    for _ in range(8):
        # The page that says so looks like the one before.
        with page.expect_event("load"):
            sign_in(page, email, "wrong")
        expect(page.locator(".problem")).to_contain_text("don't fit")
    sign_in(page, email)
    expect(page.locator(".problem")).to_contain_text(re.compile(r"Too many attempts\. Try again in (10|[5-9]) minutes"))
    expect(page.get_by_label("E-mail")).to_have_value(email)
