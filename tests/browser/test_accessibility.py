"""Every state of every page by axe-core's rules, in both colour schemes, narrow, usual and broad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.states import STATES, State
from tests.browser.visits import HEIGHT, NARROW, WIDTHS, Visits

# Run as a browser's own tools are, past the content security policy, which so needs no exception for it.
AXE = Axe().axe_script
TINY_BUTTONS = """const row = document.body.appendChild(document.createElement("div"));
for (const place of [1, 2, 3]) {
    const button = row.appendChild(document.createElement("button"));
    Object.assign(button.style, { display: "inline-block", width: "10px", height: "10px", padding: 0 });
}"""
ABOUT_COLOURS = ("color-contrast", "link-in-text-block")


@pytest.mark.parametrize("state", STATES, ids=str)
def test_no_rule_is_violated(visits: Visits, state: State):
    found = []
    with visits.visit(state) as page:
        page.evaluate(AXE)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.emulate_media(color_scheme="light")
            found += [f"{width} px, light: {told}" for told in violations(page, fingers=width == NARROW)]
            # Markup and layout are the same in both: what no rule about colours can tell apart needs one look.
            page.emulate_media(color_scheme="dark")
            found += [f"{width} px, dark: {told}" for told in violations(page, only=ABOUT_COLOURS)]
    assert not found, "\n".join(found)


def violations(page: Page, *, only: Sequence[str] = (), fingers: bool = False) -> Sequence[str]:
    """What is wrong, and where; `only` these rules. For fingers, targets must be 24 px wide or apart."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False, "rules": {}}
    if only:
        options["runOnly"] = {"type": "rule", "values": list(only)}
    elif fingers:
        options["rules"]["target-size"] = {"enabled": True}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [f"{rule['id']}: {node}" for rule in found for node in _nodes(rule)]


def _nodes(rule: Mapping[str, Any]) -> Sequence[str]:
    return [f"{node['target'][0]}: {' '.join(node['failureSummary'].split())}" for node in rule["nodes"]]


def test_what_is_violated_would_be_found(visits: Visits):
    with visits.visit(STATES[0]) as page:
        page.evaluate(AXE)
        page.evaluate("document.querySelector('label').remove()")
        page.evaluate(TINY_BUTTONS)
        page.evaluate("document.querySelector('h1').style.color = 'light-dark(black, #222)'")
        assert _rules(violations(page, fingers=True)) >= {"label", "button-name", "target-size"}
        assert violations(page, only=ABOUT_COLOURS) == []
        page.emulate_media(color_scheme="dark")
        assert _rules(violations(page, only=ABOUT_COLOURS)) == {"color-contrast"}


def _rules(told: Sequence[str]) -> set[str]:
    return {fault.partition(":")[0] for fault in told}
