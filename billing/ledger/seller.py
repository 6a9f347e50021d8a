"""Who sends the bills: closing copies it into each, so a change concerns later bills only."""

from __future__ import annotations

from dataclasses import asdict, replace
from uuid import UUID

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.bill import Seller
from billing.errors import VersionConflict
from billing.ledger import events
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.events import Event
from billing.ledger.rows import Row
from billing.ledger.tables.bills import SellerRow
from billing.ledger.tables.settings import LogoRow
from billing.logo import Logo
from billing.origin import Origin
from billing.text import parse_text

LONGEST_NAME = 255
LONGEST_ADDRESS = 2_000
LONGEST_TAX_ID = 100
_SUBJECT = ("seller", UUID(int=1))


def parse(name: object, address: object, tax_id: object) -> Seller:
    """A name is required; the others may be empty. It comes without a logo."""
    return Seller(
        parse_text(name, "name", longest=LONGEST_NAME),
        parse_text(address, "address", longest=LONGEST_ADDRESS, required=False),
        parse_text(tax_id, "tax_id", longest=LONGEST_TAX_ID, required=False),
    )


def read(engine: Engine) -> Seller:
    return read_version(engine)[0]


def read_version(engine: Engine) -> tuple[Seller, int]:
    """The seller, and the version that a change of this value names; 0 before the first change."""
    with snapshot(engine) as connection:
        row = connection.execute(select(SellerRow.__table__)).one()
    return _seller_of(row), row.version


def last_change(engine: Engine) -> Event | None:
    return next(iter(events.latest_of_subject(engine, _SUBJECT[1], before_version=None, limit=1)), None)


def logo(engine: Engine, hash_: str) -> Logo | None:
    """The picture that this seller, or one of a closed bill, has; it never changes. None for an unknown hash."""
    logos = LogoRow.__table__
    with snapshot(engine) as connection:
        row = connection.execute(select(logos).where(logos.c.hash == hash_)).one_or_none()
    return Logo(bytes(row.content), row.kind, row.width, row.height) if row else None


def change(
    engine: Engine,
    origin: Origin,
    seller: Seller,
    *,
    new_logo: Logo | None = None,
    expected_version: int | None = None,
) -> None:
    """`seller.logo` names one that is stored, unless `new_logo` comes along. What is there already changes nothing.

    Raises VersionConflict.
    """
    if new_logo is not None:
        seller = replace(seller, logo=new_logo.hash)
    with transaction(engine) as connection:
        row = connection.execute(select(SellerRow.__table__).with_for_update()).one()
        before, wanted = asdict(_seller_of(row)), asdict(seller)
        changed = {field: value for field, value in wanted.items() if value != before[field]}
        if not changed:
            return
        if expected_version not in {None, row.version}:
            raise VersionConflict("the seller was changed meanwhile")
        if new_logo is not None:
            _keep(connection, new_logo)
        connection.execute(update(SellerRow).values(**changed, version=row.version + 1))
        data = {"fields": sorted(changed)}
        events.append(connection, origin, "seller.changed", _SUBJECT, row.version + 1, now(connection), data)


def _keep(connection: Connection, new: Logo) -> None:
    values = {"hash": new.hash, "kind": new.kind, "content": new.content, "width": new.width, "height": new.height}
    connection.execute(insert(LogoRow).values(**values).on_conflict_do_nothing(index_elements=["hash"]))


def _seller_of(row: Row) -> Seller:
    return Seller(row.name, row.address, row.tax_id, row.logo)
