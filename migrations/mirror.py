"""The schema of test mode: tables of the ledger once more, for what test keys make.

A migration that alters one of `TABLES`, or one of `FUNCTIONS`, does the same to its twin:
`tests/billing/ledger/test_modes.py` compares them. New tables that belong to bills, customers or events get a twin by
`mirror`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from alembic import op

SCHEMA = "pave_test"
# Whatever a bill, a customer or an event is part of. All others are shared: who may come in, rates, settings.
TABLES = (
    "customers", "bills", "bill_subtotals", "line_items", "counters", "events", "idempotency_keys",
    "line_item_references", "line_item_requests", "bill_workflows", "share_links", "webhook_endpoints",
    "webhook_deliveries", "webhook_attempts", "webhook_backlogs", "webhook_redeliveries", "imports", "import_rows",
    "rollup_position", "accrual_days", "open_subtotals", "accruing",
    "bill_states", "closed_months", "closed_payables",
)  # fmt: skip
FUNCTIONS = ("add_line_items", "add_line_items_together", "take_references")

_CONSTRAINTS = sa.text(
    """
    SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid = to_regclass(:table) AND contype = ANY(:types) ORDER BY contype DESC, conname
    """
)
_INDEXES = sa.text(
    """
    SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid = to_regclass(:table) AND i.indisvalid
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
    ORDER BY i.indexrelid::regclass::text
    """
)
_OPTIONS = sa.text("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = to_regclass(:table)")
_FUNCTIONS = sa.text(
    """
    SELECT pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND proname = ANY(:names) ORDER BY proname
    """
)


def mirror(tables: Sequence[str], known: Collection[str] = TABLES) -> None:
    """Empty twins, with the same constraints and indexes of the same names. Whoever they refer to is the twin, where
    it is among those `known`."""
    _spell_out_schemas()
    for table in tables:
        op.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table} INCLUDING ALL EXCLUDING INDEXES)")
        options = _rows(_OPTIONS, table=f"public.{table}")[0][0]
        if options:
            op.execute(f"ALTER TABLE {SCHEMA}.{table} SET ({options})")
        _constrain(table, ("p", "u"), known)
        for (definition,) in _rows(_INDEXES, table=f"public.{table}"):
            op.execute(definition.replace(f" ON public.{table} ", f" ON {SCHEMA}.{table} ", 1))
    for table in tables:
        _constrain(table, ("f",), known)
    op.execute("RESET search_path")


def mirror_functions(names: Sequence[str] = FUNCTIONS) -> None:
    """The functions once more, for rows of the twins; what they read and write is found by the caller's search path."""
    _spell_out_schemas()
    definitions = _rows(_FUNCTIONS, names=list(names))
    # Where the bodies find what they declare.
    op.execute(f"SET search_path TO {SCHEMA}, public")
    for (definition,) in definitions:
        head, begins, body = definition.partition("AS $function$")
        op.get_bind().exec_driver_sql(_led_to_twins(head, {*names, *TABLES}) + begins + body)
    op.execute("RESET search_path")


def _constrain(table: str, types: Sequence[str], known: Collection[str]) -> None:
    for name, definition in _rows(_CONSTRAINTS, table=f"public.{table}", types=list(types)):
        led = _led_to_twins(definition, known)
        op.execute(f"ALTER TABLE {SCHEMA}.{table} ADD CONSTRAINT {name} {led}")


def _led_to_twins(definition: str, known: Collection[str]) -> str:
    return re.sub(
        r"\bpublic\.(\w+)", lambda found: f"{SCHEMA if found[1] in known else 'public'}.{found[1]}", definition
    )


def _spell_out_schemas() -> None:
    """From here on PostgreSQL says of each name which schema it is in."""
    op.execute("SET search_path TO ''")


def _rows(query: sa.TextClause, **asked: object) -> list[sa.Row]:
    return list(op.get_bind().execute(query, asked).all())
