"""Every page and every state of one that people meet: what is checked in all of them, and photographed.

A page that isn't here fails `test_states.py`. States can be opened in any order, each on its own and again: what steps
change is a bill or an account that is there for it, or one of the crowd.
"""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.sent import SENT
from tests.browser.state import GUARDED, Place, State, administered, by_anybody, of_none, viewed
from tests.browser.steps import all_of, dialog, heading, keys, refused, shown, submitted, typed, unfolded
from tests.support.visitor import PASSWORD
from webapp.identity.roles import Role

LONG = "Unbreakable" * 12
PASTED = "Platform fee\t1\t249.00\tUSD\nCard payments\tmany\t0.0029\tEUR\nSettlement reports\t4\t1500\tJPY"


def _older_lines(page: Page) -> None:
    older = page.get_by_role("link", name="Older lines")
    older.click()
    expect(older).to_have_count(0)


STRANGER = {"E-mail": "nobody@example.com", "Password": "wrong"}
CODE_WANTED = all_of(
    lambda page: page.goto("/session/new"),
    submitted("Sign in", {"E-mail": f"{GUARDED}@example.com", "Password": PASSWORD}),
    heading("Second factor"),
)

SIGNING_IN = (
    by_anybody("sign-in", "/session/new"),
    by_anybody("sign-in-refused", "/session/new", refused("Sign in", STRANGER)),
    by_anybody(
        "sign-in-database-away",
        "/session/new",
        all_of(submitted("Sign in", STRANGER), heading("database can't be reached")),
        Place.CUT_OFF,
    ),
    by_anybody("sign-in-code", "/session/code", CODE_WANTED),
    by_anybody("sign-in-code-refused", "/session/code", all_of(CODE_WANTED, refused("Sign in", {"Code": "000000"}))),
    State("signed-in-elsewhere", "/session/return"),
)

OVERVIEW = (
    State("overview", "/"),
    viewed("overview-read-only", "/"),
    State("overview-in-yen", "/?in=JPY"),
    of_none("overview-none-yet", "/"),
)

BILLS = (
    State("bills", "/bills"),
    viewed("bills-read-only", "/bills"),
    State("bills-in-one-currency", "/bills?in=GEL"),
    State("bills-filtered", "/bills?q=mtkvari&status=open&currency=USD"),
    State("bills-filter-open", "/bills", unfolded("Filter")),
    State("bills-chosen", "/bills", lambda page: page.locator("tbody input[type=checkbox]").first.check()),
    State("bills-none-match", "/bills?q=zzzz"),
    State("bills-wrong-filter", "/bills?from=yesterday"),
    of_none("bills-none-yet", "/bills"),
    State("bills-close", "/bills/closures/new?bill={accruing}&bill={empty}&bill={closed}"),
    State("bill-new", "/bills/new"),
    State("bill-new-refused", "/bills/new", refused("Open bill")),
    State("bill-new-like-another", "/bills/new?from={closed}"),
)

BILL = (
    State("bill", "/bills/{accruing}"),
    viewed("bill-read-only", "/bills/{accruing}"),
    State("bill-in-yen", "/bills/{accruing}?currency=JPY"),
    State(
        "bill-line-refused",
        "/bills/{accruing}",
        refused("Add line", {"Description": LONG, "Quantity": "1,5", "Unit price": "0.6"}),
    ),
    State("bill-lines-filtered", "/bills/{accruing}?q=platform"),
    State("bill-lines-none-found", "/bills/{accruing}?q=zzzz"),
    State("bill-empty", "/bills/{empty}"),
    viewed("bill-empty-read-only", "/bills/{empty}"),
    State("bill-wide", "/bills/{wide}"),
    State("bill-wide-older-lines", "/bills/{wide}", _older_lines),
    State("bill-vast", "/bills/{vast}"),
    State("bill-vast-lines-filtered", "/bills/{vast}?q=fee 99"),
    State("bill-closing", "/bills/{closing}"),
    State("bill-closed", "/bills/{closed}"),
    State("bill-reverse", "/bills/{accruing}", dialog("Reverse Platform fee")),
    State("bill-reverse-refused", "/bills/{accruing}", all_of(dialog("Reverse Platform fee"), refused("Reverse line"))),
    State("bill-reverse-page", "/bills/{accruing}/line-items/{item}/reversal"),
    State("bill-period", "/bills/{accruing}", dialog("Change period")),
    State(
        "bill-period-refused",
        "/bills/{accruing}",
        all_of(dialog("Change period"), refused("Change period", {"Period end (UTC)": "2020-01-01T00:00"})),
    ),
    State("bill-period-page", "/bills/{accruing}/period"),
    State("test-mode", "/test/"),
    State("test-bills", "/test/bills"),
    State("test-bill", "/test/bills/{tried}"),
    State("test-bill-close", "/test/bills/{tried}", dialog("Close bill")),
    State("test-bill-clock", "/test/bills/{tried}", dialog("Advance clock")),
    State(
        "test-bill-clock-refused",
        "/test/bills/{tried}",
        all_of(dialog("Advance clock"), refused("Advance clock", {"It is to be (UTC)": "2020-01-01T00:00"})),
    ),
    State("test-bill-clock-page", "/test/bills/{tried}/clock"),
    State("bill-close", "/bills/{accruing}", dialog("Close bill")),
    State("bill-close-wide", "/bills/{wide}", dialog("Close bill")),
    State("bill-close-empty", "/bills/{empty}", dialog("Close bill")),
    State("bill-close-page", "/bills/{accruing}/closure"),
    State("bill-paste", "/bills/{accruing}", dialog("Paste rows")),
    State(
        "bill-paste-preview",
        "/bills/{accruing}",
        all_of(dialog("Paste rows"), submitted("Preview", {"Rows": PASTED}), heading("2 of 3 rows can be added")),
    ),
    State("bill-paste-refused", "/bills/{accruing}", all_of(dialog("Paste rows"), refused("Preview"))),
    State("bill-paste-page", "/bills/{accruing}/pasted-lines/new"),
    State("bill-imports", "/bills/{importing}/imports"),
    State("bill-imports-none-yet", "/bills/{empty}/imports"),
    viewed("bill-imports-read-only", "/bills/{empty}/imports"),
    State("bill-import-new", "/bills/{importing}/imports/new"),
    State("bill-import-refused", "/bills/{importing}/imports/new", refused("Preview")),
    State("bill-import-preview", "/bills/{importing}/imports/{import_draft}"),
    State("bill-import-running", "/bills/{importing}/imports/{import_running}"),
    State("bill-import-done", "/bills/{importing}/imports/{import_done}"),
    viewed("bill-import-done-read-only", "/bills/{importing}/imports/{import_done}"),
    State("bill-share", "/bills/{accruing}", dialog("Share")),
    State("bill-share-revoke", "/bills/{accruing}", all_of(dialog("Share"), unfolded("Revoke…"))),
    viewed("bill-share-read-only", "/bills/{accruing}/shares"),
    State("bill-explain-line", "/bills/{accruing}/line-items/{item}/explanation"),
    State("bill-explain-subtotal", "/bills/{accruing}/explanations/subtotal?of=USD"),
    State("bill-explain-payable", "/bills/{closed}/explanations/payable?of=EUR"),
    State("bill-explain-converted", "/bills/{accruing}/explanations/converted?of=EUR&currency=USD"),
    State("bill-explain-whole", "/bills/{accruing}/explanations/whole"),
    State(
        "bill-explain-dialog",
        "/bills/{accruing}",
        all_of(lambda page: page.locator(".totals .why").first.click(), shown("dialog[open]")),
    ),
    State("bill-events", "/bills/{accruing}/events"),
    State("bill-workflow", "/bills/{accruing}/workflow"),
)

CUSTOMERS = (
    State("customers", "/customers"),
    viewed("customers-read-only", "/customers"),
    State("customers-none-match", "/customers?q=zzzz"),
    of_none("customers-none-yet", "/customers"),
    State("customer", "/customers/{customer}"),
    State("customer-broad", "/customers/{broad_customer}"),
    State("customer-without-bills", "/customers/{unbilled_customer}"),
    State("customer-new", "/customers/new"),
    State("customer-new-refused", "/customers/new", refused("Register customer", {"E-mail optional": "nonsense"})),
    State("customer-edit", "/customers/{customer}/edit"),
    State("customer-edit-refused", "/customers/{customer}/edit", refused("Save", {"E-mail optional": "nonsense"})),
)

RATES = (
    State("rates", "/rates"),
    of_none("rates-no-attempts", "/rates"),
    State("rates-of-a-provider", "/rates", place=Place.PROVIDED),
    State("rates-to-accept", "/rates?from=USD&to=GEL", who=Role.ADMIN, place=Place.PROVIDED),
)

REPAIR = dialog("Repair: The workflow is stuck")

ATTENTION = (
    State("attention", "/attention"),
    viewed("attention-read-only", "/attention"),
    administered("attention-to-repair", "/attention"),
    State("attention-more", "/attention?after={finding}"),
    State("attention-no-more", "/attention?after=ffffffff-ffff-7fff-bfff-ffffffffffff"),
    of_none("attention-none-found", "/attention"),
    administered("attention-repair", "/attention", REPAIR),
    administered("attention-repair-page", "/attention/findings/{finding}/repair"),
    administered(
        "attention-repair-without-temporal",
        "/attention",
        all_of(REPAIR, submitted("Repair"), shown("#notices .notice")),
    ),
)

SETTINGS = (
    viewed("seller-read-only", "/settings/seller"),
    administered("seller", "/settings/seller"),
    administered("seller-refused", "/settings/seller", refused("Save", {"Name": ""})),
    viewed("currencies-read-only", "/settings/currencies"),
    administered("currencies", "/settings/currencies"),
    administered("users", "/settings/users"),
    administered("user", "/settings/users/{user}"),
    administered("user-disable", "/settings/users/{user}", unfolded("Disable…")),
    administered("user-new", "/settings/users/new"),
    administered("user-new-refused", "/settings/users/new", refused("Add user")),
    administered("api-keys", "/settings/api-keys"),
    administered("api-key", "/settings/api-keys/{api_key}"),
    administered("api-key-revoked", "/settings/api-keys/{revoked_api_key}"),
    administered("api-key-new", "/settings/api-keys/new"),
    administered("api-key-new-refused", "/settings/api-keys/new", refused("Create key")),
    administered("audit-log", "/settings/audit-log"),
    administered("audit-log-older", "/settings/audit-log?type=line_items.added&after=2100-01-01T00:00:00Z~1"),
    administered("audit-log-wrong-filter", "/settings/audit-log?subject=nonsense&from=yesterday"),
    administered("audit-log-none-match", "/settings/audit-log?actor=nobody"),
    administered("audit-log-event", "/settings/audit-log/{user}/1"),
    administered("audit-log-event-of-bill", "/settings/audit-log/{accruing}/2"),
    administered("webhooks", "/settings/webhooks"),
    administered("webhook", "/settings/webhooks/{webhook}"),
    administered(
        "webhook-attempts",
        "/settings/webhooks/{webhook}?status=pending",
        lambda page: page.locator("details.attempts summary").first.click(),
    ),
    administered("webhook-paused", "/settings/webhooks/{paused_webhook}"),
    administered("webhook-edit", "/settings/webhooks/{paused_webhook}/edit"),
    administered("webhook-new", "/settings/webhooks/new"),
    administered("webhook-new-refused", "/settings/webhooks/new", refused("Add webhook")),
    State("account", "/settings/account"),
    State("account-refused", "/settings/account", refused("Change password")),
    State("account-second-factor", "/settings/account/second-factor/new"),
    State("account-guarded", "/settings/account", who=GUARDED),
    State("account-recovery-codes", "/settings/account/recovery-codes", who=GUARDED),
    State("account-second-factor-removal", "/settings/account/second-factor/removal", who=GUARDED),
)

KEYBOARD = (
    State("palette", "/rates", all_of(keys("Control+k"), shown("#palette-list"))),
    State(
        "palette-found",
        "/rates",
        all_of(keys("Control+k"), typed("mtkvari"), shown("#palette-list[data-words=mtkvari]")),
    ),
    State(
        "palette-nothing", "/rates", all_of(keys("Control+k"), typed("zzzz"), shown("#palette-results .palette-note"))
    ),
    State("shortcuts", "/shortcuts"),
    State("shortcuts-dialog", "/rates", all_of(keys("?"), shown("dialog[open]"))),
)

DESIGN = (
    State("design", "/design"),
    State("design-dialog", "/design/dialog"),
)

REFUSALS = (
    State("not-found", "/bills/{nobody}"),
    State("no-such-address", "/nowhere"),
    viewed("not-allowed", "/bills/new"),
)

CUSTOMERS_PAGE = (
    by_anybody("share", "{accruing_share}"),
    by_anybody("share-of-a-test-bill", "/test{tried_share}"),
    by_anybody("share-in-yen", "{accruing_share}?currency=JPY"),
    by_anybody("share-empty", "{empty_share}"),
    by_anybody("share-wide", "{wide_share}"),
    by_anybody("share-vast", "{vast_share}"),
    by_anybody("share-closing", "{closing_share}"),
    by_anybody("share-closed", "{closed_share}"),
    by_anybody("share-unknown", "/b/unknown"),
)

STATES = (
    *SIGNING_IN,
    *OVERVIEW,
    *BILLS,
    *BILL,
    *CUSTOMERS,
    *RATES,
    *ATTENTION,
    *SETTINGS,
    *KEYBOARD,
    *DESIGN,
    *REFUSALS,
    *CUSTOMERS_PAGE,
    *SENT,
)
