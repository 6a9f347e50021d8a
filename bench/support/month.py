"""A month's end: bills that end in the same instant, loaded by SQL as the system would have written them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

ITEMS_A_BILL = 20
LOADED_AGE = "interval '1 minute'"


@dataclass(frozen=True)
class Month:
    """`name` tells its bills from those of other months in the same database: it is their customer's."""

    name: str
    bills: int
    end: datetime

    @property
    def until_end_s(self) -> float:
        return (self.end - datetime.now(UTC)).total_seconds()


def ending_in(seconds: float, name: str, bills: int) -> Month:
    return Month(name, bills, datetime.now(UTC) + timedelta(seconds=seconds))


def load(database: psycopg.Connection, month: Month) -> list[str]:
    """The ids of the month's bills, each with twenty items in three currencies."""
    named = {"name": month.name, "bills": month.bills, "end": month.end}
    with database.transaction():
        for statement in (CUSTOMER, PLANNED, BILLS, WORKFLOWS, ITEMS, SUBTOTALS, EVENTS):
            database.execute(statement, named)
        ids = [str(id_) for (id_,) in database.execute("SELECT id FROM planned ORDER BY id")]
        database.execute("DROP TABLE planned")
    for table in ("bills", "bill_subtotals", "line_items", "events", "bill_workflows"):
        database.execute(f"VACUUM (ANALYZE) {table}".encode())
    return ids


def closed_after_s(database: psycopg.Connection, month: Month, within_s: float) -> float:
    """Returns once all are closed; how long after their end that was."""
    return _so_of_all(database, month, "b.status = 'closed'", within_s)


def finished_after_s(database: psycopg.Connection, month: Month, within_s: float) -> float:
    """Returns once the workflows of all have ended; how long after their end that was."""
    return _so_of_all(database, month, "w.finished_at IS NOT NULL", within_s)


def _so_of_all(database: psycopg.Connection, month: Month, what: str, within_s: float) -> float:
    query = LEFT.replace("WHAT", what).encode()
    time.sleep(max(month.until_end_s, 0.0))
    while True:
        row = database.execute(query, {"name": month.name, "end": month.end}).fetchone()
        assert row
        lag_s, left = float(row[0]), row[1]
        if not left:
            return lag_s
        if lag_s > within_s:
            raise RuntimeError(f"{left} of {month.bills} bills are not so after {within_s} s: {what}")
        # So that looking is a small part of what goes on.
        time.sleep(min(0.02 + lag_s / 50, 1.0))


@dataclass(frozen=True)
class Facts:
    """Of a month that is over, by the rows. `not_once`: without exactly one closing in the log."""

    closed: int
    early: int
    not_once: int
    missing_numbers: int


def facts(database: psycopg.Connection, month: Month) -> Facts:
    row = database.execute(FACTS, {"name": month.name}).fetchone()
    assert row
    return Facts(*map(int, row))


LEFT = """
    SELECT extract(epoch FROM billing_now() - %(end)s), count(*) FILTER (WHERE NOT (WHAT))
    FROM bills b JOIN customers c ON c.id = b.customer_id JOIN bill_workflows w ON w.bill_id = b.id
    WHERE c.external_id = %(name)s
"""
FACTS = """
    SELECT count(*) FILTER (WHERE b.status = 'closed'),
           count(*) FILTER (WHERE b.closed_at < b.period_end OR b.effective_at <> b.period_end),
           count(*) FILTER (WHERE (SELECT count(*) FROM events e
                                   WHERE e.subject_id = b.id AND e.type = 'bill.closed') <> 1),
           max(b.number) - min(b.number) + 1 - count(DISTINCT b.number)
    FROM bills b JOIN customers c ON c.id = b.customer_id WHERE c.external_id = %(name)s
"""

CUSTOMER = """
    INSERT INTO customers (id, external_id, name) VALUES (gen_random_uuid(), %(name)s, %(name)s)
"""
PLANNED = f"""
    CREATE TEMPORARY TABLE planned AS
    SELECT gen_random_uuid() AS id, c.id AS customer_id, clock_timestamp() - {LOADED_AGE} AS made
    FROM customers c, generate_series(1, %(bills)s::int) WHERE c.external_id = %(name)s
"""
BILLS = f"""
    INSERT INTO bills (id, customer_id, period_start, period_end, version, item_count, created_at, updated_at)
    SELECT id, customer_id, %(end)s::timestamptz - interval '30 days', %(end)s, 2, {ITEMS_A_BILL}, made, made
    FROM planned ORDER BY id
"""
WORKFLOWS = """
    INSERT INTO bill_workflows (bill_id, heard_version, heard_at) SELECT id, 2, made FROM planned ORDER BY id
"""
ITEMS = f"""
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total, created_at,
                            added_in_version)
    SELECT id, n, gen_random_uuid(), 'Card payments, day ' || n, ('{{USD,EUR,GEL}}'::text[])[1 + n %% 3],
           6, 0.1234, 6 * 0.1234, made, 2
    FROM planned CROSS JOIN generate_series(1, {ITEMS_A_BILL}) AS n ORDER BY id, n
"""
SUBTOTALS = """
    INSERT INTO bill_subtotals (bill_id, currency, subtotal)
    SELECT bill_id, currency, sum(total) FROM line_items JOIN planned ON planned.id = bill_id
    GROUP BY bill_id, currency ORDER BY bill_id
"""
EVENTS = f"""
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id, data,
                        occurred_at)
    SELECT 'bill', id, version, type, 'api_key', 'loaded', 'Loaded', 'loaded', data, made
    FROM (SELECT id, made, 1 AS version, 'bill.created' AS type, '{{}}'::jsonb AS data FROM planned
          UNION ALL
          SELECT id, made, 2, 'line_items.added',
                 jsonb_build_object('first_position', 1, 'last_position', {ITEMS_A_BILL}, 'totals',
                     (SELECT jsonb_object_agg(currency, trim_scale(subtotal)::text)
                      FROM bill_subtotals WHERE bill_id = planned.id)) FROM planned) AS happened
    ORDER BY id, version
"""

# The closing of a whole month in one statement: sums, rounded payables, numbers, states, events.
CLOSE_ALL = """
    WITH locked AS (
        SELECT b.id FROM bills b JOIN customers c ON c.id = b.customer_id
        WHERE c.external_id = %(name)s AND b.status = 'open' FOR NO KEY UPDATE OF b),
    due AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM locked),
    sums AS (
        SELECT l.bill_id, l.currency, sum(l.total) AS subtotal
        FROM line_items l JOIN due ON due.id = l.bill_id GROUP BY l.bill_id, l.currency),
    paid AS (
        UPDATE bill_subtotals s
        SET payable = round(sums.subtotal, 2), rounding = round(sums.subtotal, 2) - sums.subtotal, minor_units = 2
        FROM sums WHERE s.bill_id = sums.bill_id AND s.currency = sums.currency),
    taken AS (
        UPDATE counters SET last_value = last_value + (SELECT count(*) FROM due)
        WHERE name = 'bill_number' RETURNING last_value),
    closed AS (
        UPDATE bills b
        SET status = 'closed', version = b.version + 1, updated_at = clock_timestamp(), closed_at = clock_timestamp(),
            effective_at = b.period_end, close_reason = 'period_end',
            number = taken.last_value - (SELECT count(*) FROM due) + due.place
        FROM due, taken WHERE b.id = due.id RETURNING b.id, b.version, b.number, b.closed_at)
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id,
                        occurred_at, data)
    SELECT 'bill', id, version, 'bill.closed', 'system', 'one', 'One statement', 'one', closed_at,
           jsonb_build_object('number', number, 'close_reason', 'period_end')
    FROM closed
"""
