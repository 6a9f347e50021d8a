"""Every state for who sees it differently: by keyboard, with motion reduced, in the colours of their own system."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.states import STATES, State
from tests.browser.visits import Visits

# Everything that takes the focus now shows it: by an outline of 2 px and more, or by the border of the frame around it.
_FOCUS_UNSEEN = """() => {
  const outlined = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const drawn = (style) => [outlined(style), style.borderColor].join();
  const around = (element) => [element, element.parentElement, element.nextElementSibling].filter(Boolean)
    .map((near) => [null, "::before", "::after"].map((part) => drawn(getComputedStyle(near, part))).join()).join();
  const able = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex='-1'])";
  const unseen = [];
  for (const element of document.querySelectorAll(able)) {
    element.focus();
    // Not there to be focused: hidden, disabled, or behind a dialog.
    if (document.activeElement !== element) continue;
    const focused = around(element);
    element.blur();
    if (focused === around(element)) unseen.push(element.outerHTML.slice(0, 140));
  }
  return unseen;
}"""

_MOVES = """() => {
  const seconds = (list) => Math.max(...list.split(",").map(parseFloat));
  const moves = (style) => seconds(style.transitionDuration) > 0.01 || style.scrollBehavior === "smooth"
    || (style.animationName !== "none" && seconds(style.animationDuration) > 0.01);
  return [...document.querySelectorAll("*")]
    .filter((element) => [null, "::before", "::after"].some((part) => moves(getComputedStyle(element, part))))
    .map((element) => element.outerHTML.slice(0, 140));
}"""

# Where the system decides about colours, backgrounds and shadows are gone: a word, a border or a mark must remain.
_LOST = """() => {
  const lost = [], seen = (element) => element.checkVisibility({ visibilityProperty: true });
  const worded = (element) => element.innerText.trim() || element.getAttribute("aria-label");
  for (const element of document.querySelectorAll(".status, .standing, .badge, .tag, [role=status]:not(:empty)")) {
    if (seen(element) && !worded(element)) lost.push(`no word: ${element.outerHTML.slice(0, 140)}`);
  }
  const drawn = (style) => [style.borderBlockWidth, style.borderInlineWidth, style.outlineStyle, style.fontWeight,
    style.textDecorationLine].join();
  for (const current of document.querySelectorAll("[aria-current], [aria-selected=true]")) {
    const group = (element) => element.closest("ul, nav, [role=listbox]");
    const others = [...document.querySelectorAll(`${current.localName}:not([aria-current], [aria-selected=true])`)]
      .filter((other) => other.className === current.className && group(other) === group(current));
    const marked = [null, "::before", "::after"].some((part) =>
      drawn(getComputedStyle(current, part)) !== (others[0] ? drawn(getComputedStyle(others[0], part)) : ""));
    if (seen(current) && !marked) lost.push(`not marked: ${current.outerHTML.slice(0, 140)}`);
  }
  return lost;
}"""


@pytest.mark.parametrize("state", STATES, ids=str)
def test_focus_is_seen_nothing_moves_and_no_status_is_a_colour_alone(visits: Visits, state: State):
    with visits.visit(state) as page:
        found = list(_faults(page))
    assert not found, "\n".join(found)


def _faults(page: Page) -> Iterator[str]:
    yield from (f"moves: {told}" for told in page.evaluate(_MOVES))
    # From here on the browser takes focus for a keyboard's.
    page.keyboard.press("Shift")
    yield from (f"focus unseen: {told}" for told in page.evaluate(_FOCUS_UNSEEN))
    page.emulate_media(forced_colors="active")
    yield from (f"in forced colours {told}" for told in page.evaluate(_LOST))
