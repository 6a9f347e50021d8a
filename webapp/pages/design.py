"""Every component of the console in every state, on one page: to compare, to look at after a change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from flask.typing import ResponseReturnValue

from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import page_or_dialog, render

# Code, exact amount, payable amount.
AMOUNTS = (
    ("USD", Decimal("4911.38"), Decimal("4911.38")),
    ("JPY", Decimal(36_000), Decimal(36_000)),
    ("KWD", Decimal("12.5"), Decimal("12.5")),
    ("CLF", Decimal("0.00005"), Decimal("0.0001")),
    ("EUR", Decimal("71.8225"), Decimal("71.82")),
    ("GEL", Decimal(-60), Decimal(-60)),
)
COLOURS = ("ground", "surface", "raised", "sunk", "line", "line-strong", "ink", "ink-2", "ink-3", "accent")
SOFT_COLOURS = ("accent-soft", "amber", "amber-soft", "red", "red-soft")
SIZES = ("2xl", "xl", "l", "m", "s", "xs")
SPACES = ("s1", "s2", "s3", "s4", "s5", "s6")
INSTANT = datetime(2026, 11, 1, tzinfo=UTC)


@pages.get("/design")
@allow(Role.VIEWER)
def show_design() -> ResponseReturnValue:
    problems = {"": "The bill changed meanwhile. Nothing was closed.", "quantity": "quantity must be a number"}
    filled = {"name": "Customer hung", "quantity": "six", "reason": "", "address": "1 Rustaveli Avenue\nTbilisi"}
    return render(
        "design/show.html",
        form=Form(filled),
        refused=Form(filled, problems),
        amounts=AMOUNTS,
        colours=COLOURS + SOFT_COLOURS,
        sizes=SIZES,
        spaces=SPACES,
        instant=INSTANT,
    )


@pages.get("/design/dialog")
@allow(Role.VIEWER)
def show_design_dialog() -> ResponseReturnValue:
    return page_or_dialog("design/dialog.html", form=Form({"reason": ""}))
