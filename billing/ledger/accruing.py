"""What the open bills add up to per currency, kept bill by bill: a payable is rounded on its bill, not on the sum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from billing import money

ZERO = Decimal(0)

Subtotals = Mapping[tuple[UUID, str], tuple[Decimal, Decimal]]


def bring_up_to_date(connection: Connection, bill_ids: list[UUID]) -> None:
    """Each currency's sums change by the difference that these bills make since they were counted last."""
    ids = {"ids": bill_ids}
    kept = {(row.bill_id, row.currency): (row.subtotal, row.payable) for row in connection.execute(_KEPT, ids)}
    standing = {
        (row.bill_id, row.currency): (row.subtotal, money.payable(row.subtotal, money.currency(row.currency)).amount)
        for row in connection.execute(_STANDING, ids)
    }
    gone = list(kept.keys() - standing.keys())
    columns = {"ids": [bill_id for bill_id, _ in gone], "codes": [code for _, code in gone]}
    connection.execute(_FORGET, columns)
    connection.execute(
        _KEEP,
        {
            "ids": [bill_id for bill_id, _ in standing],
            "codes": [code for _, code in standing],
            "subtotals": [subtotal for subtotal, _ in standing.values()],
            "payables": [payable for _, payable in standing.values()],
        },
    )
    _add_accruing(connection, kept, standing)


def _add_accruing(connection: Connection, kept: Subtotals, standing: Subtotals) -> None:
    codes = sorted({code for _, code in (*kept, *standing)})
    before, after = _sums(kept), _sums(standing)
    differences = [
        tuple(money.EXACT.subtract(new, old) for old, new in zip(before[code], after[code], strict=True))
        for code in codes
    ]
    connection.execute(
        _ADD_ACCRUING,
        {
            "codes": codes,
            "counts": [count for count, _, _ in differences],
            "subtotals": [subtotal for _, subtotal, _ in differences],
            "payables": [payable for _, _, payable in differences],
        },
    )
    connection.execute(text("DELETE FROM accruing WHERE bills = 0"))


def _sums(subtotals: Subtotals) -> Mapping[str, tuple[Decimal, Decimal, Decimal]]:
    """Per currency: how many bills, their subtotals, their payables."""
    sums: dict[str, tuple[Decimal, Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO, ZERO))
    for (_, code), (subtotal, payable) in subtotals.items():
        count, subtotals_, payables = sums[code]
        sums[code] = (count + 1, money.EXACT.add(subtotals_, subtotal), money.EXACT.add(payables, payable))
    return sums


_KEPT = text("SELECT bill_id, currency, subtotal, payable FROM open_subtotals WHERE bill_id = ANY(:ids)")
_STANDING = text(
    """
    SELECT s.bill_id, s.currency, s.subtotal FROM bill_subtotals s JOIN bills b ON b.id = s.bill_id
    WHERE b.id = ANY(:ids) AND b.status = 'open'
    """
)
_FORGET = text(
    """
    DELETE FROM open_subtotals o USING unnest(CAST(:ids AS uuid[]), CAST(:codes AS text[])) AS gone(bill_id, currency)
    WHERE o.bill_id = gone.bill_id AND o.currency = gone.currency
    """
)
_KEEP = text(
    """
    INSERT INTO open_subtotals (bill_id, currency, subtotal, payable)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:codes AS text[]), CAST(:subtotals AS numeric[]),
                         CAST(:payables AS numeric[]))
    ON CONFLICT (bill_id, currency) DO UPDATE SET subtotal = excluded.subtotal, payable = excluded.payable
    WHERE open_subtotals.subtotal <> excluded.subtotal
    """
)
_ADD_ACCRUING = text(
    """
    INSERT INTO accruing AS kept (currency, bills, subtotal, payable)
    SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:counts AS bigint[]), CAST(:subtotals AS numeric[]),
                         CAST(:payables AS numeric[]))
    ON CONFLICT (currency) DO UPDATE SET bills = kept.bills + excluded.bills,
        subtotal = kept.subtotal + excluded.subtotal, payable = kept.payable + excluded.payable
    """
)
