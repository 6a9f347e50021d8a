"""Customers: registered by hand or by the first bill that names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast
from uuid import UUID

from sqlalchemy import Connection, Engine, MetaData, Table, select, update
from sqlalchemy.dialects.postgresql import insert

from billing.bill import LONGEST_CUSTOMER_ID, Customer
from billing.errors import AlreadyExists, CustomerNotFound, InvalidArgument, VersionConflict
from billing.identifiers import new_id
from billing.ledger import events, idempotency, modes
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.rows import customer_of
from billing.ledger.tables.bills import CustomerRow
from billing.origin import Origin, fingerprint
from billing.text import LONGEST_EMAIL, parse_email, parse_text

LONGEST_NAME = 255
LONGEST_ADDRESS = 2_000
EDITABLE = {"name": LONGEST_NAME, "email": LONGEST_EMAIL, "billing_address": LONGEST_ADDRESS}


def parse_external_id(value: object, field: str = "customer_id") -> str:
    """The caller's own name for a customer: one line of text."""
    external_id = parse_text(value, field, longest=LONGEST_CUSTOMER_ID)
    if "\n" in external_id or "\t" in external_id:
        raise InvalidArgument(f"{field} must be one line of text", field=field)
    return external_id


def parse_details(details: Mapping[str, object]) -> dict[str, str]:
    """Name, e-mail and billing address, as far as they are given."""
    return {field: _parse_detail(field, value) for field, value in details.items()}


def _parse_detail(field: str, value: object) -> str:
    if field == "email":
        return parse_email(value, required=False)
    return parse_text(value, field, longest=EDITABLE[field], required=False)


_LIVE = cast("Table", CustomerRow.__table__)
_TEST = _LIVE.to_metadata(MetaData(), schema=modes.SCHEMA)


def table(*, test: bool) -> Table:
    """The customers of a mode, for who asks about those of both."""
    return _TEST if test else _LIVE


def ids_of(connection: Connection, external_ids: Collection[str], *, test: bool) -> Mapping[str, UUID]:
    """Our ids of those of these that there are, asked of the live ledger."""
    of = table(test=test).c
    rows = connection.execute(select(of.external_id, of.id).where(of.external_id.in_(external_ids)))
    return {row.external_id: row.id for row in rows}


def register(engine: Engine, origin: Origin, external_id: str, details: Mapping[str, str]) -> tuple[Customer, bool]:
    """A new customer, and whether this is a replay. Raises AlreadyExists when the name is taken."""
    print_ = fingerprint(external_id, *(details.get(field) for field in EDITABLE))
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, "register_customer")
        known = idempotency.recall(connection, origin, "register_customer", print_)
        if known:
            return _by_id(connection, known), True
        customer = _insert(connection, origin, external_id, details)
        if customer is None:
            raise AlreadyExists("a customer with this id exists", field="id")
        idempotency.remember(connection, origin, "register_customer", print_, customer.id)
        return customer, False


def registered(connection: Connection, origin: Origin, external_id: str) -> Customer:
    """The customer of this name, registered now if nobody knew it."""
    query = select(CustomerRow.__table__).where(CustomerRow.external_id == external_id)
    found = connection.execute(query).one_or_none()
    if found is not None:
        return customer_of(found)
    return _insert(connection, origin, external_id, {}) or customer_of(connection.execute(query).one())


def _insert(connection: Connection, origin: Origin, external_id: str, details: Mapping[str, str]) -> Customer | None:
    instant = now(connection)
    row = connection.execute(
        insert(CustomerRow)
        .values(id=new_id(), external_id=external_id, created_at=instant, updated_at=instant, **details)
        .on_conflict_do_nothing(index_elements=["external_id"])
        .returning(CustomerRow.__table__)
    ).one_or_none()
    if row is None:
        return None
    events.append(connection, origin, "customer.created", ("customer", row.id), 1, instant)
    return customer_of(row)


def edit(
    engine: Engine,
    origin: Origin,
    external_id: str,
    details: Mapping[str, str],
    *,
    expected_version: int | None = None,
) -> Customer:
    """Changes what is given; changes no closed bill. What is there already is no change, and no conflict.

    Raises CustomerNotFound and VersionConflict.
    """
    with transaction(engine) as connection:
        row = connection.execute(
            select(CustomerRow.__table__).where(CustomerRow.external_id == external_id).with_for_update()
        ).one_or_none()
        if row is None:
            raise CustomerNotFound
        changed = {field: value for field, value in details.items() if getattr(row, field) != value}
        if not changed:
            return customer_of(row)
        if expected_version not in {None, row.version}:
            raise VersionConflict("the customer was changed meanwhile")
        instant = now(connection)
        row = connection.execute(
            update(CustomerRow)
            .where(CustomerRow.id == row.id)
            .values(version=row.version + 1, updated_at=instant, **changed)
            .returning(CustomerRow.__table__)
        ).one()
        events.append(
            connection,
            origin,
            "customer.updated",
            ("customer", row.id),
            row.version,
            instant,
            {"fields": sorted(changed)},
        )
        return customer_of(row)


def _by_id(connection: Connection, id_: UUID) -> Customer:
    return customer_of(connection.execute(select(CustomerRow.__table__).where(CustomerRow.id == id_)).one())
