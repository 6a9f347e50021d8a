"""Who sends the bills: closing copies it into each, so a change concerns later bills only."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine, select, update

from billing.bill import Seller
from billing.ledger import events
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.tables.bills import SellerRow
from billing.origin import Origin
from billing.text import parse_text

LONGEST_NAME = 255
LONGEST_ADDRESS = 2_000
LONGEST_TAX_ID = 100
_SUBJECT = ("seller", UUID(int=1))


def parse(name: object, address: object, tax_id: object) -> Seller:
    """A name is required; the others may be empty."""
    return Seller(
        parse_text(name, "name", longest=LONGEST_NAME),
        parse_text(address, "address", longest=LONGEST_ADDRESS, required=False),
        parse_text(tax_id, "tax_id", longest=LONGEST_TAX_ID, required=False),
    )


def read(engine: Engine) -> Seller:
    with snapshot(engine) as connection:
        row = connection.execute(select(SellerRow.__table__)).one()
    return Seller(row.name, row.address, row.tax_id)


def change(engine: Engine, origin: Origin, seller: Seller) -> None:
    with transaction(engine) as connection:
        version = connection.execute(
            update(SellerRow)
            .values(name=seller.name, address=seller.address, tax_id=seller.tax_id, version=SellerRow.version + 1)
            .returning(SellerRow.version)
        ).scalar_one()
        events.append(connection, origin, "seller.changed", _SUBJECT, version, now(connection))
