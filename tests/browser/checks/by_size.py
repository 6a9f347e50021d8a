"""Whether a page fits its window, from 320 px to 2560 px and enlarged, and how much it takes over the wire."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.visits import HEIGHT, WIDTHS

# What is left of 1280 px where a browser enlarges to 200 %, and to 400 % (WCAG 1.4.4 and 1.4.10).
ENLARGED = (640, 320)
MOST_BYTES = 60 * 1024
# Of one answer; browsers count bodies.
HEADERS_BYTES = 1024

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

# Styles and scripts, as they came over the wire now or when the browser kept them.
_RECEIVED = """() => performance.getEntriesByType("resource")
  .map((entry) => [new URL(entry.name).pathname.split("/").pop(), entry.encodedBodySize])
  .filter(([name]) => /[.](css|js)$/.test(name))"""


def faults(page: Page) -> Iterator[str]:
    for width in (*ENLARGED, *WIDTHS):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        yield from (f"scrolls sideways, {width} px: {told}" for told in page.evaluate(_SIDEWAYS))
        yield from (f"cut off, {width} px: {told}" for told in page.evaluate(_CUT_OFF))


def too_heavy(page: Page, most: int = MOST_BYTES) -> Iterator[str]:
    """Of its styles and scripts together."""
    received = page.evaluate(_RECEIVED)
    if not received or not all(size for _, size in received):
        yield f"heavy: not known how much {received}"
    if sum(size + HEADERS_BYTES for _, size in received) > most:
        yield f"heavy: {received}"
