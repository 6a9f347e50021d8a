"""How a page is for who sees it differently: by keyboard, with motion reduced, in the colours of their own system."""

from __future__ import annotations

from collections.abc import Iterator

from playwright.sync_api import Page

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

# What changes in one step doesn't move.
_MOVES = """() => {
  const seconds = (list) => Math.max(...list.split(",").map(parseFloat));
  const moves = (style) => seconds(style.transitionDuration) > 0.01 || style.scrollBehavior === "smooth"
    || (style.animationName !== "none" && seconds(style.animationDuration) > 0.01
      && !style.animationTimingFunction.startsWith("step"));
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


def faults(page: Page) -> Iterator[str]:
    """Moves the focus, and leaves the page in forced colours."""
    yield from (f"moves: {told}" for told in page.evaluate(_MOVES))
    # From here on the browser takes focus for a keyboard's.
    page.keyboard.press("Shift")
    yield from (f"focus unseen: {told}" for told in page.evaluate(_FOCUS_UNSEEN))
    page.emulate_media(forced_colors="active")
    yield from (f"in forced colours {told}" for told in page.evaluate(_LOST))
