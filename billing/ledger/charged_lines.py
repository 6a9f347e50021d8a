"""What a bill charges: its lines without those that were taken back and those that took them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import aliased

from billing.bill import LineItem
from billing.ledger.database import snapshot
from billing.ledger.reads import read_bill
from billing.ledger.rows import line_item_of
from billing.ledger.tables.bills import LineItemRow

_ITEMS = LineItemRow.__table__


@dataclass(frozen=True, slots=True)
class ChargedLines:
    """The newest, oldest of them first; `count` is how many there are in all."""

    newest: Sequence[LineItem]
    count: int


def read(engine: Engine, bill_id: UUID, *, newest: int) -> ChargedLines:
    """All at one instant. Raises BillNotFound."""
    reversing = aliased(LineItemRow, name="reversing")
    of_bill = _ITEMS.c.bill_id == bill_id
    taken_back = exists().where(reversing.bill_id == _ITEMS.c.bill_id, reversing.reverses == _ITEMS.c.id)
    with snapshot(engine) as connection:
        bill = read_bill(connection, bill_id)
        rows = connection.execute(
            select(_ITEMS)
            .where(of_bill, _ITEMS.c.reverses.is_(None), ~taken_back)
            .order_by(_ITEMS.c.position.desc())
            .limit(newest)
        ).all()
        reversals = connection.execute(select(func.count()).where(of_bill, _ITEMS.c.reverses.is_not(None))).scalar_one()
    # A line is taken back once at most, and what takes one back is never taken back itself.
    return ChargedLines([line_item_of(row) for row in reversed(rows)], bill.item_count - 2 * reversals)
