"""The audit log in a browser: by keyboard, filtered, page after page, without script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, text

from billing.ledger import sealing
from billing.ledger.database import transaction
from tests.browser.visits import sign_in
from tests.support.complaints import Complaints
from tests.support.visitor import PASSWORD
from webapp.identity import user_changes
from webapp.identity.roles import Role

LOG = "/settings/audit-log"
MANY = """
    INSERT INTO events (subject_id, version, subject_type, type, actor_kind, actor_id, actor_name, request_id, data,
                        occurred_at)
    SELECT gen_random_uuid(), 1, 'user', CASE WHEN n % 100 = 0 THEN 'user.disabled' ELSE 'user.enabled' END, 'user',
           'id', 'n' || n % 10 || '@example.com', 'request', '{}', now() - n * interval '1 minute'
    FROM generate_series(1, 10000) AS n
"""
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def administered(site: str, engine: Engine) -> str:
    user_changes.create(engine, email=f"{Role.ADMIN}@example.com", password=PASSWORD, role=Role.ADMIN)
    with transaction(engine) as connection:
        connection.execute(text(MANY))
    while sealing.seal(engine):
        pass
    return site


@pytest.fixture
def open_as_admin(chromium: Browser, administered: str, complaints: Complaints) -> Iterator[Open]:
    contexts = []

    def open_(*, script: bool = True) -> Page:
        context = chromium.new_context(base_url=administered, java_script_enabled=script)
        contexts.append(complaints.listen(context))
        page = contexts[-1].new_page()
        sign_in(page, Role.ADMIN)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "without script"])
def test_what_somebody_did_is_found_and_read(open_as_admin: Open, engine: Engine, script: bool) -> None:
    page = open_as_admin(script=script)
    page.goto("/settings/seller")
    page.get_by_role("link", name="Audit log").click()
    expect(page.locator("#last-seal")).to_have_text(sealing.last(engine).name)
    page.get_by_label("What", exact=True).select_option("user.disabled")
    page.get_by_label("Who, in full").fill("n0@example.com")
    page.get_by_label("Who, in full").press("Enter")
    page.wait_for_url("**/settings/audit-log?type=user.disabled*")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.locator("tbody .row-link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Disabled")).to_be_visible()
    page.locator("dl").get_by_role("link", name="user.disabled").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_label("What", exact=True)).to_have_value("")


def test_what_is_shown_is_what_is_exported(open_as_admin: Open, tmp_path: Path) -> None:
    page = open_as_admin()
    page.goto(f"{LOG}?type=user.disabled")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export NDJSON").click()
    download.value.save_as(tmp_path / "log")
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(lines) == 100
    first = page.locator("tbody tr").first.get_attribute("id")
    assert first == f"event-{lines[0]['subject_id']}-{lines[0]['version']}"
