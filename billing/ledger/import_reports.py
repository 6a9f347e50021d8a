"""What became of every row of an import, and, before it is confirmed, what would."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Engine, select, text

from billing.errors import NotFound
from billing.ledger import imports
from billing.ledger.database import Questions, in_one_snapshot, snapshot
from billing.ledger.exports import AT_ONCE, WITHIN_S, Batches
from billing.ledger.imports import Import
from billing.ledger.tables.imports import ImportRow

SHOWN_ROWS: Final = 20
_IMPORTS = ImportRow.__table__
OUTCOMES = ("added", "replayed", "rejected", "pending", "skipped")


class ImportReportExpired(NotFound):
    """The rows of this import were dropped, as they are after thirty days; what it came to is kept."""

    reason = "import_report_expired"
    default_message = "the report of this import was kept for thirty days"


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """`number` counts from 1, `line` says where the row begins in the file. `bill_id` is that of the item where there
    is one, which its reference may have found on another bill. `pending` rows have no outcome yet; `skipped` ones were
    left when the import was cancelled."""

    number: int
    line: int
    outcome: str
    bill_id: UUID | None
    item_id: UUID | None
    key: str | None
    source: str | None
    reference: str | None
    code: str | None
    reason: str | None
    field: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """A row as a preview shows it. One that can't be right has a `message`, and how it began in `given`."""

    number: int
    line: int
    description: str | None
    quantity: Decimal | None
    unit_price: Decimal | None
    total: Decimal | None
    currency: str | None
    given: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """Its first rows, the first that can't be right, and what the good ones come to. `withdrawn`: how many would be
    good if their currency were offered. `anonymous`: good rows without a key and without a reference, which a second
    import would add again."""

    first: Sequence[PreviewedRow]
    bad: Sequence[PreviewedRow]
    sums: Sequence[tuple[str, Decimal]]
    withdrawn: Mapping[str, int]
    anonymous: int


def rows(engine: Engine, one: Import) -> Batches[ReportedRow]:
    """All of them in order, as of one instant. Raises ImportReportExpired at the first."""
    if not one.is_kept:
        raise ImportReportExpired
    left = "skipped" if one.state == "cancelled" else "pending"

    def write(_: Questions) -> tuple[str, Mapping[str, Any]]:
        return _ROWS, {"id": one.id, "left": left}

    for found in in_one_snapshot(engine, write, at_once=AT_ONCE, within_s=WITHIN_S):
        yield [ReportedRow(*row) for row in found]


_ROWS = """
    SELECT number, line, coalesce(outcome, %(left)s) AS outcome, coalesce(item_bill_id, bill_id) AS bill_id, item_id,
           key, source, reference, code, reason, field, message
    FROM import_rows WHERE import_id = %(id)s ORDER BY number
"""


def preview(engine: Engine, import_id: UUID, offered: Collection[str]) -> Preview:
    """As it would be with these currencies offered."""
    with snapshot(engine) as connection:
        asked = {"id": import_id, "limit": SHOWN_ROWS, "offered": list(offered)}
        return Preview(
            [PreviewedRow(*row) for row in connection.execute(_FIRST, asked)],
            [PreviewedRow(*row) for row in connection.execute(_BAD, asked)],
            [(row.currency, row.total) for row in connection.execute(_SUMS, asked)],
            {row.currency: row.rows for row in connection.execute(_WITHDRAWN, asked)},
            connection.execute(_ANONYMOUS, asked).scalar_one(),
        )


def imported_before(engine: Engine, one: Import) -> Import | None:
    """The newest earlier import of a file of the same content into the same bill, if it added anything."""
    query = (
        select(_IMPORTS)
        .where(ImportRow.bill_id == one.bill_id, ImportRow.digest == one.digest, ImportRow.id != one.id)
        .where(ImportRow.state != "draft", (ImportRow.added > 0) | ImportRow.state.in_(imports.UNFINISHED))
        .order_by(_IMPORTS.c.id.desc())
        .limit(1)
    )
    with snapshot(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else imports.import_of(row)


def rejected(engine: Engine, import_id: UUID) -> Sequence[PreviewedRow]:
    """The first rows that weren't added, for whatever reason."""
    with snapshot(engine) as connection:
        found = connection.execute(_REJECTED, {"id": import_id, "limit": SHOWN_ROWS})
        return [PreviewedRow(*row) for row in found]


_COLUMNS = "number, line, description, quantity, unit_price, total, currency, given, message"
_OF = f"SELECT {_COLUMNS} FROM import_rows WHERE import_id = :id"  # noqa: S608  constants
_FIRST = text(f"{_OF} ORDER BY number LIMIT :limit")
_BAD = text(f"{_OF} AND fingerprint IS NULL ORDER BY number LIMIT :limit")
_REJECTED = text(f"{_OF} AND outcome = 'rejected' ORDER BY number LIMIT :limit")
_IS_OFFERED = "currency = ANY(CAST(:offered AS text[]))"
_SUMS = text(
    f"""
    SELECT currency, trim_scale(sum(total)) AS total FROM import_rows
    WHERE import_id = :id AND fingerprint IS NOT NULL AND {_IS_OFFERED} GROUP BY currency ORDER BY currency
    """  # noqa: S608  constants
)
_WITHDRAWN = text(
    f"""
    SELECT currency, count(*) AS rows FROM import_rows
    WHERE import_id = :id AND fingerprint IS NOT NULL AND NOT {_IS_OFFERED} GROUP BY currency ORDER BY currency
    """  # noqa: S608  constants
)
_ANONYMOUS = text(
    f"""
    SELECT count(*) FROM import_rows
    WHERE import_id = :id AND fingerprint IS NOT NULL AND {_IS_OFFERED} AND key IS NULL AND reference IS NULL
    """  # noqa: S608  constants
)
