"""One of everything that pages show, made once: bills in every condition, customers, rates, ten thousand rows.

The bill named "spare" is for tests that change it; "thousand" has a thousand lines, "vast"
ten thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from billing.bill import Bill, LineItem, LineItemDraft
from billing.ledger import (
    bills,
    closing,
    customers,
    findings,
    importing,
    imports,
    line_items,
    links,
    rates,
    reads,
    rollups,
    sealing,
    seller,
    webhook_backlog,
    webhook_endpoints,
    webhook_queue,
)
from billing.ledger.consistency import OF_WORKFLOWS, Difference, Kind
from billing.ledger.database import transaction
from billing.ledger.engines import create_test_engine
from billing.ledger.webhook_queue import Attempt
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin, by_the_system
from billing.period import Period
from billing.sealing import Seal
from billing.settings import DEFAULT_CURRENCIES
from billing.webhooks import Patience, new_secret
from tests.support import rates_history
from webapp.csv_text import csv_lines
from webapp.customer.tokens import token_of
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.imports.files import ReceivedFile
from webapp.imports.staging import staged
from workflows.delivering import purpose

ROWS = 10_000
BATCH = 1_000
LONG_NAME = (
    "Gesellschaft für Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbau & Söhne Internationale Beteiligungen"
)
LINES = (
    ("Platform fee, Scale plan", "1", "249.00", "USD"),
    ("Card payments, 0.29 % of volume", "184230.55", "0.0029", "EUR"),
    ("Settlement reports", "4", "1500", "JPY"),
    ("Payouts to Kuwait", "37", "0.425", "KWD"),
    ("Local card payments", "6", "0.6", "GEL"),
)
BROAD_LINES = (
    ("W" * 90, "999999999999.999999", "0.000000000001", "CLF"),
    (
        "Ledger adjustments between entities, carried forward from the quarter before " * 4,
        "1000000",
        "999999999",
        "KRW",
    ),
    ("<b>Not bold</b> & \N{RIGHT-TO-LEFT OVERRIDE}not reversed", "0.000001", "12", "USD"),
)


def build(engine: Engine, *, secret_key: str, rows: int = ROWS) -> dict[str, str]:
    """The names that addresses of states are filled with. `secret_key` is the application's.

    Their bills are the newest; `rows` older ones stand below them.
    """
    seller.change(engine, _integrator(), seller.parse("Pave Billing Ltd", "1 Ledger Lane\n0102 Tbilisi", "GE123456789"))
    unbilled = _customer(engine, "nobody-billed", "Never Billed Ltd")
    made = _bills(engine)
    told = {**_webhooks(engine, secret_key), **_imports(engine, made["importing"])}
    item = _fill(engine, made)
    _send(engine, UUID(told["webhook"]))
    _rates(engine)
    _crowd(engine, rows)
    while rollups.follow(engine):
        pass
    while sealing.seal(engine):
        pass
    with transaction(engine) as connection:
        # As autovacuum would, in its own time.
        connection.execute(text("ANALYZE"))
    return {
        **{name: str(bill.id) for name, bill in made.items()},
        **{f"{name}_share": _share(engine, bill, secret_key) for name, bill in made.items()},
        **_tried(engine, secret_key),
        **_api_keys(engine),
        **told,
        "finding": _findings(engine, made),
        "item": str(item.id),
        "customer": str(made["accruing"].customer.id),
        "broad_customer": str(made["wide"].customer.id),
        "unbilled_customer": str(reads.customer(engine, unbilled).id),
        "nobody": str(uuid4()),
    }


def _bills(engine: Engine) -> dict[str, Bill]:
    known = _customer(engine, "mtkvari-freight", "Mtkvari Freight LLC")
    broad = _customer(engine, "c" * 200, LONG_NAME)
    made = {name: _bill(engine, known) for name in ("accruing", "closing", "closed")}
    others = {
        "empty": "halden-optics",
        "importing": "batch-house",
        "wide": broad,
        "spare": "spare-parts",
        "thousand": "thousand-calls",
        "vast": "vast-telemetry",
    }
    return made | {name: _bill(engine, customer) for name, customer in others.items()}


def _fill(engine: Engine, made: Mapping[str, Bill]) -> LineItem:
    """The first line of the one that goes on accruing."""
    items = [_add(engine, made["accruing"], line) for line in LINES]
    line_items.reverse(engine, _integrator(), made["accruing"].id, items[4].id, "Entered twice")
    for line in LINES[:3]:
        _add(engine, made["closed"], line)
    for line in (*BROAD_LINES, *((f"Day {n + 1}", "1", "0.333", DEFAULT_CURRENCIES[n % 12]) for n in range(55))):
        _add(engine, made["wide"], line)
    _add_batch(engine, made["thousand"], range(1, BATCH + 1))
    for start in range(0, ROWS, BATCH):
        _add_batch(engine, made["vast"], range(start + 1, start + BATCH + 1))
    for name in ("closing", "closed"):
        bills.request_close(engine, _integrator(), made[name].id)
    closing.close_bill(engine, _integrator(), made["closed"].id, samples=True)
    return items[0]


def _add(engine: Engine, bill: Bill, line: tuple[str, str, str, str]) -> LineItem:
    return line_items.add(engine, _integrator(), bill.id, LineItemDraft.parse(*line, offered=DEFAULT_CURRENCIES))[1]


def _add_batch(engine: Engine, bill: Bill, numbers: range) -> None:
    drafts = [LineItemDraft.parse(f"Fee {n}", "1", "0.333", "USD", offered=DEFAULT_CURRENCIES) for n in numbers]
    line_items.add_all(engine, _integrator(), bill.id, [line_items.entry(draft, None) for draft in drafts])


def _imports(engine: Engine, bill: Bill) -> dict[str, str]:
    """One that is over, one under way, and the same file again, to be confirmed."""
    good = [("Fee", "3", "0.25", "USD"), ("Late fee", "1", "12.50", "EUR")] * 600
    bad = [("Card payments", "1,5", "0.0029", "EUR"), ("W" * 300, "1", "1", "usd"), ("", "1", "1", "GEL")]
    contents = {name: _csv([*good, *bad[:left_out]]) for name, left_out in (("import_done", 3), ("import_running", 1))}
    made = {name: _import(engine, bill, content) for name, content in contents.items()}
    while not importing.take_some(engine, made["import_done"], DEFAULT_CURRENCIES).is_over:
        pass
    importing.take_some(engine, made["import_running"], DEFAULT_CURRENCIES)
    made["import_draft"] = _import(engine, bill, contents["import_done"], is_draft=True)
    return {name: str(id_) for name, id_ in made.items()}


def _csv(lines: Sequence[tuple[str, ...]]) -> bytes:
    return csv_lines([("description", "quantity", "unit_price", "currency"), *lines]).encode()


def _import(engine: Engine, bill: Bill, content: bytes, *, is_draft: bool = False) -> UUID:
    file = ReceivedFile(BytesIO(content), sha256(content).digest())
    with staged(file, "csv", DEFAULT_CURRENCIES, bill.id) as rows:
        return imports.create(engine, _integrator(), rows, bill_id=bill.id, is_draft=is_draft)[0].id


def _tried(engine: Engine, secret_key: str) -> dict[str, str]:
    """A test bill whose clock was advanced, beside one that is closed."""
    ledger = create_test_engine(engine.url.render_as_string(hide_password=False))
    customer = _customer(ledger, "trial-freight", "Trial Freight LLC")
    open_, done = _bill(ledger, customer), _bill(ledger, customer)
    for line in LINES:
        _add(ledger, open_, line)
    bills.advance_clock(ledger, _integrator(), open_.id, open_.period.end - timedelta(days=2))
    bills.request_close(ledger, _integrator(), done.id)
    closing.close_bill(ledger, by_the_system("test"), done.id, samples=True)
    while rollups.follow(ledger):
        pass
    found = {"tried": str(open_.id), "tried_share": _share(ledger, open_, secret_key)}
    ledger.dispose()
    return found


def _share(engine: Engine, bill: Bill, secret_key: str) -> str:
    link, _ = links.create(engine, _integrator(), bill.id)
    return f"/b/{token_of(secret_key, link.id)}"


def _integrator() -> Origin:
    return Origin(Actor(ActorKind.API_KEY, str(UUID(int=1)), "ledger-sync"), BILLING_ACCOUNT, "request")


def _customer(engine: Engine, external_id: str, name: str) -> str:
    details = customers.parse_details(
        {
            "name": name,
            "email": "accounts@mtkvari-freight.example",
            "billing_address": "14 Agmashenebeli Ave\n0102 Tbilisi",
        }
    )
    return customers.register(engine, _integrator(), external_id, details)[0].external_id


def _bill(engine: Engine, customer_id: str) -> Bill:
    now = datetime.now(UTC)
    period = Period(now - timedelta(days=10), now + timedelta(days=20))
    return bills.open_bill(engine, _integrator(), customer_id, period).bill


def _rates(engine: Engine) -> None:
    """A provider's of some days, an attempt that failed, and what it delivered last awaits a decision."""
    delivered = [(days, f"2.7{days}", "accepted") for days in range(5, 0, -1)] + [(0, "27", "quarantined")]
    rates.record_attempt(engine, "unreachable", "no answer within 10 s")
    for days, lari, state in delivered:
        found = {"EUR": "0.92", "JPY": "151.2", "KWD": "0.307", "GEL": lari}
        rates_history.store(engine, found, age=timedelta(days=days), state=state)


def _api_keys(engine: Engine) -> dict[str, str]:
    for name in ("ledger-sync", "old-importer"):
        api_keys.create(engine, name=name, role=Role.OPERATOR)
    used, revoked = (key.id for key in api_keys.every(engine))
    api_keys.revoke(engine, revoked)
    return {"api_key": str(used), "revoked_api_key": str(revoked)}


def _webhooks(engine: Engine, secret_key: str) -> dict[str, str]:
    """One that is told of what follows, and one at which nothing arrived for long."""
    urls = ("https://receiver.example/hooks/pave-billing", f"https://{'long-name.' * 20}example/{'a' * 300}")
    used, paused = (
        webhook_endpoints.create(
            engine, _integrator(), url, types, lambda id_: Seal(secret_key).close(purpose(id_), new_secret())
        )[0].id
        for url, types in zip(urls, (None, ("bill.created", "bill.closed")), strict=True)
    )
    with transaction(engine) as connection:
        webhook_endpoints.paused(
            connection, by_the_system("test"), webhook_endpoints.locked(connection, paused), webhook_endpoints.FAILING
        )
    return {"webhook": str(used), "paused_webhook": str(paused)}


def _send(engine: Engine, endpoint_id: UUID) -> None:
    """Some arrived, one is refused over and over."""
    patience = Patience(first=timedelta(0))
    webhook_backlog.fill(engine, endpoint_id, give_up_after=patience.give_up_after)
    for chain in webhook_queue.due(engine, endpoint_id):
        for n, delivery in enumerate(chain[:5]):
            answers = [(204, "", None)] if n < 4 else [(None, "", "timeout"), (500, LONG_NAME * 9, None)]
            for status, excerpt, error in answers:
                attempt = Attempt(status == 204, status, 12 * (n + 1), excerpt[:1024], error)
                webhook_queue.record(engine, endpoint_id, delivery, attempt, patience)


def _findings(engine: Engine, made: Mapping[str, Bill]) -> str:
    """Of many kinds, two of them gone, and more than fit on a page. The id of one that can be repaired."""
    gone = [made["closing"].id, made["thousand"].id]
    for bill_id in gone:
        findings.note(
            engine, [Difference(bill_id, "workflow: Temporal knows none", Kind.NO_WORKFLOW)], kinds=(), bill_ids=[]
        )
    findings.note(engine, [], kinds=OF_WORKFLOWS, bill_ids=gone)
    stuck = f"workflow: its task has failed 9 times: {'Unreadable' * 12}"
    missed = "workflow: it has heard of version 9, stored is 7"
    found = [
        Difference(made["accruing"].id, stuck, Kind.WEDGED),
        Difference(made["wide"].id, missed, Kind.AHEAD),
        Difference(made["spare"].id, "USD items add up to 12, the subtotal is 13", Kind.SUMS),
        Difference(uuid4(), "workflow: its bill isn't in the ledger; it runs", Kind.NO_BILL),
        *(Difference(uuid4(), missed, Kind.BEHIND) for _ in range(60)),
    ]
    findings.note(engine, found, kinds=(), bill_ids=[])
    kept = findings.still_open(engine, after=None, limit=100)
    return str(next(finding.id for finding in kept if finding.kind is Kind.WEDGED))


def _crowd(engine: Engine, rows: int) -> None:
    """Straight into the tables: through the ledger it would take minutes."""
    with transaction(engine) as connection:
        for statement in _CROWD.split(";"):
            connection.execute(text(statement), {"rows": rows} if ":rows" in statement else {})


_CROWD = """
    INSERT INTO customers (id, external_id, name)
    SELECT uuidv7(interval '-2 days'), 'crowd-' || n, 'Customer of the crowd ' || n FROM generate_series(1, 200) n;
    INSERT INTO bills (id, customer_id, period_start, period_end, version, item_count, created_at, updated_at)
    SELECT uuidv7(interval '-1 day'), c.id, now() - interval '20 days', now() + interval '10 days', 2, 1,
           now() - interval '1 day', now() - interval '1 day'
    FROM generate_series(1, :rows) row JOIN customers c ON c.external_id = 'crowd-' || (row % 200 + 1);
    INSERT INTO bill_workflows (bill_id) SELECT id FROM bills WHERE id NOT IN (SELECT bill_id FROM bill_workflows);
    INSERT INTO line_items
        (bill_id, position, id, description, currency, quantity, unit_price, total, created_at, added_in_version)
    SELECT id, 1, uuidv7(), 'Platform fee', 'USD', 3, 83.25, 249.75, created_at, 2
    FROM bills WHERE version = 2 AND item_count = 1 AND created_at < now() - interval '1 hour';
    INSERT INTO bill_subtotals (bill_id, currency, subtotal)
    SELECT bill_id, currency, total FROM line_items i
    WHERE NOT EXISTS (SELECT FROM bill_subtotals s WHERE s.bill_id = i.bill_id)
"""
