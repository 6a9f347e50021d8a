"""Bills by the million, loaded by SQL: as the system itself would have written them over two years.

Nine in ten are closed, the rest accrue; five items each; the overview's sums are loaded beside them. What the
constraints check is checked; only foreign keys, which hold by construction, aren't looked up row by row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

BILLS_A_CUSTOMER = 50
ITEMS_A_BILL = 5
# So many bills have a line in this currency, however many there are.
RARE_BILLS, RARE = 60, "JPY"
FIRST_WORDS = "Amber Copper Northern Granite Silver Linden Harbour Meridian Juniper Cobalt Willow Falcon Marble Orchid"
SECOND_WORDS = "Trading Bakery Logistics Press Mills Foundry Vineyards Optics Tiles Printing Ferries Orchards Glass"


@dataclass(frozen=True)
class Loaded:
    bills: int
    items: int
    events: int
    took_s: float


def load(database: psycopg.Connection, bills: int) -> Loaded:
    """All of it appears at once; statistics are taken afterwards, as autovacuum would sooner or later."""
    began = time.monotonic()
    with database.transaction():
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("SET LOCAL synchronous_commit = off")
        database.execute("SET LOCAL work_mem = '256MB'")
        for statement in STATEMENTS:
            database.execute(statement, {"bills": bills, "customers": max(1, bills // BILLS_A_CUSTOMER)})
    for table in ("customers", "bills", "bill_subtotals", "line_items", "events", "bill_workflows", "open_subtotals"):
        database.execute(f"VACUUM (ANALYZE) {table}".encode())
    events = database.execute("SELECT count(*) FROM events").fetchone()
    assert events
    return Loaded(bills, bills * ITEMS_A_BILL, events[0], time.monotonic() - began)


CUSTOMERS = f"""
    INSERT INTO customers (id, external_id, name, email, billing_address, created_at, updated_at)
    SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
            || '8' || substr(md5('customer' || n), 1, 15))::uuid,
           'customer-' || lpad(n::text, 6, '0'),
           first_words[1 + n %% cardinality(first_words)] || ' '
           || second_words[1 + (n / cardinality(first_words)) %% cardinality(second_words)] || ' ' || n,
           'billing@customer-' || n || '.example', n || ' Ledger Lane', made, made
    FROM (SELECT n, clock_timestamp() - interval '731 days' + n * interval '1 second' AS made,
                 string_to_array('{FIRST_WORDS}', ' ') AS first_words,
                 string_to_array('{SECOND_WORDS}', ' ') AS second_words
          FROM generate_series(1, %(customers)s::int) AS n) AS numbered
"""
# Closed ones ended in the past two years, open ones end in the next weeks; ids are in the order of their making.
PLANNED = """
    CREATE TEMPORARY TABLE planned ON COMMIT DROP AS
    SELECT n, is_closed, made, made + length AS ends, customer_id,
           (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n & 4095), 3, '0')
            || '8' || substr(md5(n::text), 1, 15))::uuid AS id
    FROM (
        SELECT n, n <= closed AS is_closed,
               CASE WHEN n <= closed THEN now() - interval '729 days' + n * (interval '698 days' / closed)
                    ELSE now() - interval '25 days' + (n - closed) * (interval '24 days' / (%(bills)s::int - closed))
               END AS made,
               interval '30 days' AS length, c.id AS customer_id
        FROM (SELECT n, %(bills)s::int * 9 / 10 AS closed FROM generate_series(1, %(bills)s::int) AS n) AS numbered
        JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM customers) AS c
          ON c.place = (n * 7919::bigint) %% %(customers)s
        ORDER BY n) AS dated
"""
BILLS = """
    INSERT INTO bills (id, customer_id, status, period_start, period_end, version, item_count, created_at, updated_at,
                       effective_at, closed_at, close_reason, number, rate_snapshot_id, billed_customer, seller)
    SELECT p.id, p.customer_id, CASE WHEN is_closed THEN 'closed' ELSE 'open' END, made, ends,
           CASE WHEN is_closed THEN 3 ELSE 2 END, 5, made,
           CASE WHEN is_closed THEN ends + interval '0.2 s' ELSE made + interval '1 day' END,
           CASE WHEN is_closed THEN ends END, CASE WHEN is_closed THEN ends + interval '0.2 s' END,
           CASE WHEN is_closed THEN 'period_end' END, CASE WHEN is_closed THEN n END,
           CASE WHEN is_closed THEN (SELECT max(id::text)::uuid FROM rate_snapshots WHERE state = 'accepted') END,
           CASE WHEN is_closed THEN jsonb_build_object('external_id', c.external_id, 'name', c.name,
                                                       'billing_address', c.billing_address) END,
           CASE WHEN is_closed THEN (SELECT jsonb_build_object('name', name, 'address', address, 'tax_id', tax_id,
                                                               'logo', logo) FROM seller) END
    FROM planned p JOIN customers c ON c.id = p.customer_id ORDER BY n
"""
ITEMS = f"""
    INSERT INTO line_items (bill_id, position, id, description, currency, quantity, unit_price, total, created_at,
                            added_in_version)
    SELECT id, position, (substr(id::text, 1, 24) || lpad(to_hex(n), 9, '0') || lpad(to_hex(position), 3, '0'))::uuid,
           description, currency, quantity, unit_price, quantity * unit_price, made + interval '1 day', 2
    FROM (SELECT p.id, p.n, p.made, position, 'Card payments, batch ' || n || ' of day ' || position AS description,
                 CASE WHEN position = 5 AND n %% (%(bills)s::int / {RARE_BILLS}) = 0 THEN '{RARE}'
                      ELSE ('{{USD,EUR,GEL}}'::text[])[1 + (n + position / 5) %% 3] END AS currency,
                 (1 + (n + position) %% 6)::numeric AS quantity,
                 ((n * 7 + position * 13) %% 100000)::numeric / 1000 AS unit_price
          FROM planned p CROSS JOIN generate_series(1, {ITEMS_A_BILL}) AS position) AS priced
    ORDER BY n, position
"""
SUBTOTALS = f"""
    INSERT INTO bill_subtotals (bill_id, currency, subtotal, payable, rounding, minor_units)
    SELECT bill_id, currency, subtotal, CASE WHEN is_closed THEN round(subtotal, digits) END,
           CASE WHEN is_closed THEN round(subtotal, digits) - subtotal END, CASE WHEN is_closed THEN digits END
    FROM (SELECT i.bill_id, i.currency, sum(i.total) AS subtotal, p.is_closed,
                 CASE i.currency WHEN '{RARE}' THEN 0 ELSE 2 END AS digits
          FROM line_items i JOIN planned p ON p.id = i.bill_id GROUP BY i.bill_id, i.currency, p.is_closed
          ORDER BY i.bill_id) AS summed
"""
EVENTS = """
    INSERT INTO events (subject_type, subject_id, version, type, actor_kind, actor_id, actor_name, request_id, data,
                        occurred_at)
    SELECT 'bill', id, version, type, kind, kind, 'Ledger', 'loaded', data, occurred_at
    FROM (SELECT n, id, 1 AS version, 'bill.created' AS type, 'api_key' AS kind, made AS occurred_at,
                 '{"period_start": "2026-01-01T00:00:00.000000Z", "period_end": "2026-02-01T00:00:00.000000Z"}'::jsonb
                 AS data FROM planned
          UNION ALL
          SELECT n, id, 2, 'line_items.added', 'api_key', made + interval '1 day',
                 jsonb_build_object('first_position', 1, 'last_position', 5, 'totals', totals)
          FROM planned JOIN (SELECT bill_id, jsonb_object_agg(currency, trim_scale(subtotal)::text) AS totals
                             FROM bill_subtotals GROUP BY bill_id) AS summed ON bill_id = id
          UNION ALL
          SELECT n, id, 3, 'bill.closed', 'workflow', ends + interval '0.2 s',
                 jsonb_build_object('number', n, 'close_reason', 'period_end', 'rate_snapshot_id', NULL)
          FROM planned WHERE is_closed) AS happened
    ORDER BY n, version
"""
WORKFLOWS = """
    INSERT INTO bill_workflows (bill_id, heard_version, heard_at, finished_at)
    SELECT id, CASE WHEN is_closed THEN 3 ELSE 2 END, made, CASE WHEN is_closed THEN ends + interval '0.3 s' END
    FROM planned ORDER BY n
"""
NUMBERS = """
    UPDATE counters SET last_value = (SELECT coalesce(max(number), 0) FROM bills) WHERE name = 'bill_number'
"""
SUMS = (
    "DELETE FROM accrual_days",
    "DELETE FROM bill_states",
    "DELETE FROM closed_months",
    "DELETE FROM closed_payables",
    "DELETE FROM accruing",
    "DELETE FROM open_subtotals",
    """INSERT INTO accrual_days (currency, day, total)
       SELECT currency, (made + interval '1 day')::date, sum(subtotal)
       FROM planned JOIN bill_subtotals ON bill_id = id GROUP BY 1, 2""",
    """INSERT INTO bill_states (status, bills) SELECT status, count(*) FROM bills GROUP BY status""",
    """INSERT INTO closed_months (month, bills)
       SELECT date_trunc('month', closed_at)::date, count(*) FROM bills WHERE status = 'closed' GROUP BY 1""",
    """INSERT INTO closed_payables (month, currency, payable)
       SELECT date_trunc('month', closed_at)::date, currency, sum(payable)
       FROM bills JOIN bill_subtotals ON bill_id = id WHERE status = 'closed' GROUP BY 1, 2""",
    f"""INSERT INTO open_subtotals (bill_id, currency, subtotal, payable)
       SELECT bill_id, currency, subtotal, round(subtotal, CASE currency WHEN '{RARE}' THEN 0 ELSE 2 END)
       FROM planned JOIN bill_subtotals ON bill_id = id WHERE NOT is_closed""",
    """INSERT INTO accruing (currency, bills, subtotal, payable)
       SELECT currency, count(*), sum(subtotal), sum(payable) FROM open_subtotals GROUP BY currency""",
    """UPDATE rollup_position
       SET xid = pg_current_xact_id(), seq = (SELECT max(seq) FROM events), followed_at = clock_timestamp()""",
)
STATEMENTS = (
    CUSTOMERS,
    PLANNED,
    "CREATE UNIQUE INDEX ON planned (id)",
    "ANALYZE planned",
    BILLS,
    ITEMS,
    SUBTOTALS,
    EVENTS,
    WORKFLOWS,
    NUMBERS,
    *SUMS,
)
