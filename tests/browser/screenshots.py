"""Photographs of every declared state, for people to look at. `bin/screenshots` runs it; no other run does."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.states import STATES, State
from tests.browser.visits import HEIGHT, SCHEMES, WIDTHS, Visits

DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "screenshots"
TALLEST = 4000


@pytest.mark.parametrize("state", STATES, ids=str)
def test_photograph(visits: Visits, state: State):
    with visits.visit(state) as page:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                photograph(page, DIRECTORY / scheme / str(width) / f"{state.name}.png")


def photograph(page: Page, file: Path) -> None:
    """The whole page, or of an endless one the beginning."""
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    width = page.viewport_size["width"]
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
