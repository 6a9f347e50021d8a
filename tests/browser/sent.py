"""States no address leads to: what a form came to, a secret that is shown once, an answer that is not to be had."""

from __future__ import annotations

from uuid import uuid4

from playwright.sync_api import Page

from tests.browser.state import GUARDED, Place, State, administered, by_anybody
from tests.browser.steps import (
    all_of,
    cut_off,
    dialog,
    elsewhere,
    grown_old,
    heading,
    refused,
    shown,
    signed_out,
    submitted,
    too_many_documents,
    unfolded,
)
from tests.support.visitor import PASSWORD

ROWS = "Late fee\t1\t12.50\tUSD\nCard payments\tmany\t0.0029\tEUR"
NO_GOOD_ROW = "Card payments\tmany\t0.0029\tEUR\n\t1\t1\tUSD"
LINE = {"Description": "Late fee", "Quantity": "1", "Unit price": "12.50"}
LINE_ADDED = all_of(submitted("Add line", LINE), shown("tbody.all .fresh"))
FIRST_TO_CLOSE = "section[aria-labelledby=closable-title] .row-link"


def _two_chosen(page: Page) -> None:
    for number in range(2):
        page.locator("tbody input[type=checkbox]").nth(number).check()


def _user_added(page: Page) -> None:
    submitted("Add user", {"E-mail": f"{uuid4().hex}@example.com"})(page)


SENT = (
    State(
        "bills-closed",
        "/bills?q=crowd-7&status=open",
        all_of(
            _two_chosen,
            submitted("Close selected…"),
            heading("Close 2 bills"),
            elsewhere(LINE_ADDED, link=FIRST_TO_CLOSE),
            submitted("Close 2 bills"),
            heading("1 bill takes no more lines, 1 left open"),
        ),
    ),
    State(
        "bill-close-changed-meanwhile",
        "/bills/{spare}",
        all_of(dialog("Close bill"), elsewhere(LINE_ADDED), refused("Close bill")),
    ),
    State(
        "bill-paste-preview-of-none",
        "/bills/{accruing}/pasted-lines/new",
        all_of(submitted("Preview", {"Rows": NO_GOOD_ROW}), heading("0 of 2 rows")),
    ),
    State(
        "bill-paste-added",
        "/bills/{spare}",
        all_of(
            dialog("Paste rows"),
            submitted("Preview", {"Rows": ROWS}),
            submitted("Add 1 line"),
            heading("1 line added, 1 left out"),
        ),
    ),
    State(
        "bill-session-ended",
        "/bills/{accruing}",
        all_of(
            signed_out(submitted("Add line", LINE), shown("#sign-in-slot dialog")), heading("Your session has ended")
        ),
    ),
    State(
        "bill-session-ended-refused",
        "/bills/{accruing}",
        signed_out(
            submitted("Add line", LINE),
            shown("#sign-in-slot dialog"),
            submitted("Sign in", {"Password": "wrong"}),
            shown("#sign-in-slot .problem"),
        ),
    ),
    State(
        "signed-in-again",
        "/customers/new",
        all_of(grown_old, submitted("Register customer", {"Customer id": "kept"}), heading("signed in again")),
    ),
    State("bill-cut-off", "/bills/{accruing}", all_of(cut_off, shown("[data-following=lost] .live-lost"))),
    administered(
        "api-key-shown",
        "/settings/api-keys/new",
        all_of(submitted("Create key", {"Name": "probe"}), shown("#shown-key")),
    ),
    administered(
        "webhook-secret-shown",
        "/settings/webhooks/{webhook}",
        all_of(unfolded("Rotate…"), submitted("Rotate now"), shown("#shown-secret")),
    ),
    administered("user-password-shown", "/settings/users/new", all_of(_user_added, shown("#shown-password"))),
    administered(
        "user-password-reset",
        "/settings/users/new",
        all_of(
            _user_added,
            shown("#shown-password"),
            unfolded("Reset password…"),
            submitted("Reset it now"),
            heading("The password of"),
            shown("#shown-password"),
        ),
    ),
    State(
        "account-recovery-codes-shown",
        "/settings/account/recovery-codes",
        all_of(submitted("Make new codes", {"Your password": PASSWORD}), shown("#shown-codes")),
        who=GUARDED,
    ),
    by_anybody("share-cut-off", "{accruing_share}", all_of(cut_off, shown(".cut-off .follows"))),
    by_anybody("share-too-many-documents", "{accruing_share}", all_of(too_many_documents, heading("Too much at once"))),
    by_anybody("share-database-away", "{accruing_share}", heading("can't be shown just now"), Place.CUT_OFF),
)
