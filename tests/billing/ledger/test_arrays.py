"""Lists arrive in PostgreSQL as what they are, whichever way they are written."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from billing.ledger.arrays import array
from billing.ledger.database import one_row


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", [uuid4(), None, uuid4()]),
        ("numeric", [Decimal("0.000001"), Decimal("1E+3"), Decimal("-999999999999.999999"), None]),
        ("text", ["NULL", 'a "quoted" {word}, \\ and\nmore', "", None, "Ünïcödé"]),
        ("text", [None, None]),
        ("bytea", [b"\\x00", b"{},", None]),
    ],
)
def test_every_value_comes_back(engine: Engine, kind: str, values: list[object]) -> None:
    row = one_row(engine, f"SELECT %s::{kind}[] AS given", (array(values),))
    assert row.given == values


def test_everything_is_written_without_psycopg() -> None:
    id_ = uuid4()
    assert array([id_, None]) == f"{{{id_},NULL}}"
    assert array([Decimal("3.6")]) == "{3.6}"
    assert array(["a", b"\x00"]) == '{"a","\\\\x00"}'
