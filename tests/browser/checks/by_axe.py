"""What axe-core finds on a page, in both colour schemes, narrow, usual and broad."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.visits import HEIGHT, NARROW, WIDTHS

# Run as a browser's own tools are, past the content security policy, which so needs no exception for it.
AXE = Axe().axe_script
ABOUT_COLOURS = ("color-contrast", "link-in-text-block")
ABOUT_LAYOUT = (*ABOUT_COLOURS, "scrollable-region-focusable")

# The rows of a table are made alike: these are enough to meet every kind of them.
ROWS_BEYOND = "tbody tr:nth-child(n + 16)"

# Which elements are there to be seen. What no rule about layout or colours can tell apart needs one look for each.
_SHOWN = """() => [...document.querySelectorAll("body *")].map((element) => +element.checkVisibility()).join("")"""


def faults(page: Page) -> Iterator[str]:
    page.evaluate(AXE)
    looked_at = set()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme="light")
        shown = page.evaluate(_SHOWN)
        only = ABOUT_LAYOUT if shown in looked_at else ()
        looked_at.add(shown)
        yield from (f"axe, {width} px, light: {told}" for told in violations(page, only=only, fingers=width == NARROW))
        page.emulate_media(color_scheme="dark")
        yield from (f"axe, {width} px, dark: {told}" for told in violations(page, only=ABOUT_COLOURS))
    page.emulate_media(color_scheme="light")


def violations(page: Page, *, only: Sequence[str] = (), fingers: bool = False) -> Sequence[str]:
    """What is wrong, and where; `only` these rules. For fingers, targets must be 24 px wide or apart."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False, "rules": {}}
    if only:
        options["runOnly"] = {"type": "rule", "values": list(only)}
    elif fingers:
        options["rules"]["target-size"] = {"enabled": True}
    arguments = [{"exclude": [[ROWS_BEYOND]]}, options]
    found = page.evaluate("([context, options]) => axe.run(context, options)", arguments)["violations"]
    return [f"{rule['id']}: {node}" for rule in found for node in _nodes(rule)]


def _nodes(rule: Mapping[str, Any]) -> Sequence[str]:
    return [f"{node['target'][0]}: {' '.join(node['failureSummary'].split())}" for node in rule["nodes"]]
