"""A migrated, empty database whose tables of bills are split by bill: what an operator would do before they are large.

No code, and no function of the ledger, is written anew for it: functions are stored again with the text that they had,
since they name the rows of tables that are replaced.
"""

from __future__ import annotations

from collections.abc import Collection

import psycopg
from psycopg import sql

PARTITIONS = 4
# Each by the column that is the bill's id.
TABLES = {
    "bills": "id",
    "bill_subtotals": "bill_id",
    "line_items": "bill_id",
    "line_item_requests": "bill_id",
    "bill_workflows": "bill_id",
    "open_subtotals": "bill_id",
    "events": "subject_id",
    "idempotency_keys": "scope_id",
    "share_links": "bill_id",
    "ledger_losses": "bill_id",
}
# Tables that name a bill and stay whole: what differs are a few rows, of bills that there aren't and of the ledger as a
# whole too; a reference is its customer's, on whatever bill, and could be split by customer; a file has rows for many
# bills. No key of theirs refers to a table of bills.
WHOLE = {"findings", "line_item_references", "imports", "import_rows"}
# Keys that don't have the bill's id in them, and so can't be kept by partitions.
KEYS_WITHOUT_THE_BILL = {("bills", "number")}

_NAMING_A_BILL = """
    SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'bill_id' AND NOT a.attisdropped
    UNION SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'bills'::regclass
"""
_FUNCTIONS = """
    SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
"""
_FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND (conrelid::regclass::text = ANY(%(tables)s) OR confrelid::regclass::text = ANY(%(tables)s))
"""
_UNIQUE = """
    SELECT t.relname, array_agg(a.attname::text ORDER BY a.attname) FROM pg_index i
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(i.indkey)
    WHERE i.indisunique AND t.relname = ANY(%(tables)s) GROUP BY i.indexrelid, t.relname
"""


def naming_a_bill(connection: psycopg.Connection) -> set[str]:
    """Tables with a column for a bill's id, by its name or by what it refers to."""
    return {table for (table,) in connection.execute(_NAMING_A_BILL).fetchall()}


def foreign_keys(connection: psycopg.Connection, tables: Collection[str]) -> list[tuple[str, str, str]]:
    """Those of these tables and those to them: the table, the key's name, what it says."""
    return connection.execute(_FOREIGN_KEYS, {"tables": list(tables)}).fetchall()


def keys_without_the_bill(connection: psycopg.Connection) -> set[tuple[str, ...]]:
    """Primary and unique keys of the tables of bills that lack the bill's id: the table, then the columns."""
    found = connection.execute(_UNIQUE, {"tables": list(TABLES)}).fetchall()
    return {(table, *columns) for table, columns in found if TABLES[table] not in columns}


def partition_by_bill(url: str) -> None:
    with psycopg.connect(url) as connection:
        functions = connection.execute(_FUNCTIONS).fetchall()
        foreign = foreign_keys(connection, TABLES)
        for table, name, _ in foreign:
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*map(sql.Identifier, (table, name))))
        for name, _ in functions:
            connection.execute(sql.SQL("DROP FUNCTION {} CASCADE").format(sql.SQL(name)))
        connection.execute("ALTER TABLE bills DROP CONSTRAINT uq_bills_number")
        for table, key in TABLES.items():
            _split(connection, table, key)
        for _, definition in functions:
            connection.execute(sql.SQL(definition))
        for table, name, definition in foreign:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    sql.Identifier(table), sql.Identifier(name), sql.SQL(definition)
                )
            )


def _split(connection: psycopg.Connection, table: str, key: str) -> None:
    names = {"table": sql.Identifier(table), "key": sql.Identifier(key), "whole": sql.Identifier(f"{table}_whole")}
    connection.execute(sql.SQL("ALTER TABLE {table} RENAME TO {whole}").format(**names))
    connection.execute(
        sql.SQL("CREATE TABLE {table} (LIKE {whole} INCLUDING ALL) PARTITION BY HASH ({key})").format(**names)
    )
    for part in range(PARTITIONS):
        connection.execute(
            sql.SQL(
                "CREATE TABLE {part} PARTITION OF {table} FOR VALUES WITH (MODULUS {of}, REMAINDER {n})"
                " WITH (fillfactor = 70)"
            ).format(**names, part=sql.Identifier(f"{table}_{part}"), of=sql.Literal(PARTITIONS), n=sql.Literal(part))
        )
    connection.execute(sql.SQL("DROP TABLE {whole}").format(**names))
