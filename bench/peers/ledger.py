"""What every peer that brings no bill of its own stores: one transaction each, safe to repeat, exact totals.

Plain psycopg, two or three statements an act. What makes an act durable, and sees to its repetition, is the peer's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal

import psycopg

TABLES = """
    CREATE TABLE IF NOT EXISTS peer_bills (
        id uuid PRIMARY KEY, status text NOT NULL DEFAULT 'open', period_end timestamptz NOT NULL,
        version bigint NOT NULL DEFAULT 1, closed_at timestamptz);
    CREATE TABLE IF NOT EXISTS peer_items (
        bill_id uuid NOT NULL REFERENCES peer_bills, key text NOT NULL, description text NOT NULL,
        currency text NOT NULL, quantity numeric NOT NULL CHECK (quantity > 0),
        unit_price numeric NOT NULL CHECK (unit_price >= 0), total numeric NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (bill_id, key));
    CREATE TABLE IF NOT EXISTS peer_totals (
        bill_id uuid NOT NULL REFERENCES peer_bills, currency text NOT NULL, subtotal numeric NOT NULL,
        payable numeric, PRIMARY KEY (bill_id, currency));
"""
CENT = Decimal("0.01")


class Refused(Exception):
    """The bill isn't open, or its period has ended."""


@contextmanager
def transaction(database: psycopg.Connection) -> Iterator[psycopg.Cursor]:
    with database.transaction(), database.cursor() as cursor:
        yield cursor


def open_bill(database: psycopg.Connection) -> str:
    bill_id = str(uuid.uuid4())
    with transaction(database) as cursor:
        cursor.execute("INSERT INTO peer_bills (id, period_end) VALUES (%s, now() + '30 days')", [bill_id])
    return bill_id


def add(database: psycopg.Connection, bill_id: str, key: str, item: Mapping[str, str]) -> dict[str, str]:
    """The bill's totals with this item in them, however often it is said. Raises Refused."""
    quantity, price = Decimal(item["quantity"]), Decimal(item["unit_price"])
    total = quantity * price
    with transaction(database) as cursor:
        bill = cursor.execute(
            "SELECT status = 'open' AND clock_timestamp() < period_end FROM peer_bills WHERE id = %s FOR UPDATE",
            [bill_id],
        ).fetchone()
        known = cursor.execute("SELECT true FROM peer_items WHERE bill_id = %s AND key = %s", [bill_id, key]).fetchone()
        if not known:
            if bill != (True,):
                raise Refused
            cursor.execute(
                "INSERT INTO peer_items (bill_id, key, description, currency, quantity, unit_price, total)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [bill_id, key, item["description"], item["currency"], quantity, price, total],
            )
            cursor.execute(
                "INSERT INTO peer_totals (bill_id, currency, subtotal) VALUES (%s, %s, %s) ON CONFLICT"
                " (bill_id, currency) DO UPDATE SET subtotal = peer_totals.subtotal + EXCLUDED.subtotal",
                [bill_id, item["currency"], total],
            )
            cursor.execute("UPDATE peer_bills SET version = version + 1 WHERE id = %s", [bill_id])
        rows = cursor.execute("SELECT currency, subtotal FROM peer_totals WHERE bill_id = %s", [bill_id])
        return {currency: str(subtotal) for currency, subtotal in rows}


def close(database: psycopg.Connection, bill_id: str) -> dict[str, str]:
    """What is payable per currency; the same again when it is said again."""
    with transaction(database) as cursor:
        (status,) = cursor.execute("SELECT status FROM peer_bills WHERE id = %s FOR UPDATE", [bill_id]).fetchone()
        rows = cursor.execute("SELECT currency, subtotal FROM peer_totals WHERE bill_id = %s", [bill_id]).fetchall()
        payable = {currency: subtotal.quantize(CENT, ROUND_HALF_UP) for currency, subtotal in rows}
        if status == "open":
            for currency, amount in payable.items():
                cursor.execute(
                    "UPDATE peer_totals SET payable = %s WHERE bill_id = %s AND currency = %s",
                    [amount, bill_id, currency],
                )
            cursor.execute(
                "UPDATE peer_bills SET status = 'closed', closed_at = clock_timestamp() WHERE id = %s", [bill_id]
            )
        return {currency: str(amount) for currency, amount in payable.items()}


def fill(database: psycopg.Connection, bill_id: str, count: int) -> None:
    """So many items of 3.60 USD at once, by SQL."""
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO peer_items (bill_id, key, description, currency, quantity, unit_price, total)"
            " SELECT %s, 'fill-' || n, 'Fee ' || n, 'USD', 6, 0.6, 3.6 FROM generate_series(1, %s) n",
            [bill_id, count],
        )
        cursor.execute(
            "INSERT INTO peer_totals (bill_id, currency, subtotal) VALUES (%s, 'USD', 3.6 * %s)", [bill_id, count]
        )
