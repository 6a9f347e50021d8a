"""Every state of every page, opened once: nothing that can be told by looking at it is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.checks import by_axe, by_eye, by_policy, by_size
from tests.browser.states import STATES, State
from tests.browser.test_states import FRAGMENTS, templates
from tests.browser.visits import Visits

TINY_BUTTONS = """const row = document.body.appendChild(document.createElement("div"));
for (const place of [1, 2, 3]) {
    const button = row.appendChild(document.createElement("button"));
    Object.assign(button.style, { display: "inline-block", width: "10px", height: "10px", padding: 0 });
}"""
SPOIL = """(rules) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  document.adoptedStyleSheets = [sheet];
}"""


@pytest.mark.parametrize("state", STATES, ids=str)
def test_nothing_is_wrong_with_it(visits: Visits, state: State):
    with visits.visit(state) as page:
        found = list(_faults(visits, page))
    assert not found, "\n".join(found)


def _faults(visits: Visits, page: Page) -> Iterator[str]:
    assert visits.policies
    for address, policy in visits.policies:
        yield from by_policy.faults(address, policy)
    yield from by_size.too_heavy(page)
    yield from by_size.faults(page)
    yield from by_axe.faults(page)
    yield from by_eye.faults(page)


def test_every_template_is_seen_in_some_state(visits: Visits):
    """In a run of all states they were opened before."""
    for state in STATES:
        if state.name not in visits.opened:
            with visits.visit(state):
                pass
    unseen = templates() - visits.rendered
    assert not unseen - FRAGMENTS.keys(), "tests/browser/states.py has no state that shows them"
    assert not FRAGMENTS.keys() - templates(), "there is no such template any more"


class TestWhatIsWrongWouldBeFound:
    def test_by_axe(self, visits: Visits):
        with visits.visit(STATES[0]) as page:
            page.evaluate(by_axe.AXE)
            page.evaluate("document.querySelector('label').remove()")
            page.evaluate(TINY_BUTTONS)
            page.evaluate("document.querySelector('h1').style.color = 'light-dark(black, #222)'")
            found = list(by_axe.faults(page))
        rules = {told.split(": ")[1] for told in found if told.startswith("axe, 360 px, light")}
        assert rules >= {"label", "button-name", "target-size"}
        assert {told.split(": ")[1] for told in found if "dark" in told} == {"color-contrast"}
        assert not any("color-contrast" in told for told in found if "light" in told)
        assert any("2560 px, dark" in told for told in found)

    def test_by_size(self, visits: Visits):
        with visits.visit(STATES[0]) as page:
            assert list(by_size.too_heavy(page)) == []
            assert list(by_size.too_heavy(page, most=1024)) != []
            page.evaluate(SPOIL, "h1 { width: 20px; overflow: hidden; white-space: nowrap } form { min-width: 1000px }")
            found = list(by_size.faults(page))
        assert any(told.startswith("cut off, 2560 px") for told in found)
        assert any(told.startswith("scrolls sideways, 640 px") for told in found)
        assert not any(told.startswith("scrolls sideways, 2560 px") for told in found)

    def test_by_eye(self, visits: Visits):
        with visits.visit(STATES[0]) as page:
            page.evaluate(SPOIL, "h1 { transition: color 1s !important } :focus { all: unset !important }")
            page.evaluate("document.body.append(Object.assign(document.createElement('i'), {className: 'status'}))")
            found = list(by_eye.faults(page))
        kinds = {told.partition(":")[0] for told in found}
        assert kinds == {"moves", "focus unseen", "in forced colours no word"}

    def test_by_policy(self):
        strict = "; ".join(by_policy.STRICT)
        assert list(by_policy.faults("/", strict)) == []
        assert list(
            by_policy.faults("/", strict.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'"))
        ) == [
            "policy of / lacks script-src 'self'",
            "policy of / has script-src 'self' 'unsafe-inline'",
        ]
        assert len(list(by_policy.faults("/", ""))) == len(by_policy.STRICT)
