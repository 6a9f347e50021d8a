"""Every state of every page, from 320 px to 2560 px, enlarged, and as heavy as it may be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from playwright.sync_api import Page

from tests.browser.states import STATES, State
from tests.browser.visits import HEIGHT, WIDTHS, Visits

# What is left of 1280 px where a browser enlarges to 200 %, and to 400 % (WCAG 1.4.4 and 1.4.10).
ENLARGED = (640, 320)
STYLES_AND_SCRIPTS = {"Stylesheet", "Script"}
MOST_BYTES = 60 * 1024

# One state of each page: what a page loads doesn't depend on what it shows.
PAGES = {state.address.partition("?")[0]: state for state in STATES if state.steps is None}.values()

# Text that is cut off where nobody can scroll to it. An ellipsis says that there is more; what is for
# screen readers only is clipped on purpose.
_CUT_OFF = """() => {
  const cut = (element) => {
    const style = getComputedStyle(element);
    const hides = ["hidden", "clip"].includes(style.overflowX) && style.textOverflow !== "ellipsis";
    const seen = style.clipPath === "none" && element.checkVisibility() && element.textContent.trim();
    return hides && seen && element.scrollWidth > element.clientWidth + 1;
  };
  return [...document.querySelectorAll("body *")].filter(cut).map((element) => element.outerHTML.slice(0, 120));
}"""

# How far the page can be scrolled sideways, and the innermost elements that reach beyond its edge.
_SIDEWAYS = """() => {
  const root = document.documentElement, edge = root.clientWidth;
  if (root.scrollWidth <= edge) return [];
  const beyond = (element) => element.getBoundingClientRect().right > edge + 1 && element.checkVisibility();
  const scrolls = (element) => element.closest("[data-edge]") === null;
  for (const element of document.querySelectorAll("body *")) {
    if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(element).overflowX)) element.dataset.edge = "";
  }
  const found = [...document.querySelectorAll("body *")].filter((e) => beyond(e) && scrolls(e));
  return [`${root.scrollWidth} px`, ...found.slice(-3).map((element) => element.outerHTML.slice(0, 160))];
}"""


@pytest.mark.parametrize("state", STATES, ids=str)
def test_nothing_is_cut_off_or_scrolls_sideways(visits: Visits, state: State):
    found = []
    with visits.visit(state) as page:
        for width in (*ENLARGED, *WIDTHS):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            found += [f"{width} px: {told}" for told in [*page.evaluate(_SIDEWAYS), *page.evaluate(_CUT_OFF)]]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("state", PAGES, ids=str)
def test_styles_and_scripts_of_a_page_stay_light(visits: Visits, state: State):
    with visits.visit(state) as page:
        received = bytes_of(page, STYLES_AND_SCRIPTS)
    assert sum(size for _, size in received) <= MOST_BYTES, received
    assert received, "the page has neither styles nor scripts"


def bytes_of(page: Page, kinds: set[str]) -> Sequence[tuple[str, int]]:
    """What the page takes to load again with nothing kept from before, as it comes over the wire, headers included."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wanted: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def answered(event: dict) -> None:
        if event["type"] in kinds:
            wanted[event["requestId"]] = event["response"]["url"].rsplit("/", 1)[1]

    network.on("Network.responseReceived", answered)
    network.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.reload()
    network.detach()
    return [(name, int(sizes[request])) for request, name in wanted.items()]
