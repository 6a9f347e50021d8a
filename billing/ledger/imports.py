"""Files of line items: taken in whole, confirmed, cancelled, forgotten. What becomes of their rows is decided in
`importing`, told in `import_reports`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from uuid import UUID

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from billing.errors import NotFound, ResourceExhausted
from billing.ledger import events, idempotency
from billing.ledger.clock import now
from billing.ledger.database import snapshot, transaction
from billing.ledger.rows import Row
from billing.ledger.tables.imports import ImportRow
from billing.origin import Actor, ActorKind, Origin, fingerprint

MOST_ROWS = 100_000
LONGEST_FILE = 64 * 1024 * 1024
FORMATS = ("csv", "ndjson")
UNFINISHED = ("waiting", "running")
# Of one account, those that wait for each other included.
MOST_UNFINISHED = 20
# How long one waits to be confirmed.
DRAFT_KEPT = timedelta(days=1)
# As they stand in a staged file, in PostgreSQL's text format.
STAGED_COLUMNS = (
    "import_id", "number", "line", "bill_id", "key", "source", "reference", "description", "quantity", "unit_price",
    "total", "currency", "fingerprint", "given", "outcome", "code", "reason", "field", "message",
)  # fmt: skip

_IMPORTS = ImportRow.__table__
_OPERATION = "import_line_items"
_BLOCK = 256 * 1024


class ImportNotFound(NotFound):
    """No import has this id, or none this caller may know of."""

    reason = "import_not_found"
    default_message = "import not found"


class TooManyImports(ResourceExhausted):
    """This account's imports that aren't done yet, or files that are being read just now."""

    reason = "too_many_imports"
    default_message = "too many imports are running just now"
    retry_after_s = 15


@dataclass(frozen=True, slots=True)
class Import:
    """`bill_id` is None where each row names its bill. `is_kept`: there is a report still."""

    id: UUID
    account_id: UUID
    actor: Actor
    bill_id: UUID | None
    format: str
    digest: bytes
    state: str
    rows: int
    added: int
    replayed: int
    rejected: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    is_kept: bool

    @property
    def done(self) -> int:
        """Rows that have their outcome."""
        return self.added + self.replayed + self.rejected

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "cancelled"}


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that was read: its rows for PostgreSQL, under the import's id. `rejected`: rows that can't be right."""

    id: UUID
    format: str
    digest: bytes
    rows: int
    rejected: int
    lines: BinaryIO


def create(
    engine: Engine,
    origin: Origin,
    staged: StagedFile,
    *,
    bill_id: UUID | None = None,
    customers: Collection[UUID] | None = None,
    is_draft: bool = False,
) -> tuple[Import, bool]:
    """Stores all of it, and whether a repeat found the import that was made first. Rows on bills of others than
    `customers` will be refused. Raises IdempotencyKeyReused, TooManyImports."""
    bound_to = None if customers is None else ",".join(sorted(map(str, customers)))
    print_ = fingerprint(staged.digest.hex(), staged.format, str(bill_id) if bill_id else None, bound_to)
    with transaction(engine) as connection:
        idempotency.wait_for_twin(connection, origin, _OPERATION)
        known = idempotency.recall(connection, origin, _OPERATION, print_)
        if known:
            return _read(connection, known), True
        _refuse_too_many(connection, origin.account_id)
        if is_draft:
            _drop_draft_before(connection, origin.account_id, bill_id)
        row = connection.execute(
            insert(ImportRow)
            .values(
                id=staged.id,
                account_id=origin.account_id,
                actor_kind=origin.actor.kind,
                actor_id=origin.actor.id,
                actor_name=origin.actor.name,
                request_id=origin.request_id,
                bill_id=bill_id,
                customer_ids=None if customers is None else sorted(customers),
                format=staged.format,
                digest=staged.digest,
                state="draft" if is_draft else "waiting",
                rows=staged.rows,
                rejected=staged.rejected,
                created_at=now(connection),
            )
            .returning(_IMPORTS)
        ).one()
        _copy(connection, staged.lines)
        if not is_draft:
            _note_started(connection, origin, row)
        idempotency.remember(connection, origin, _OPERATION, print_, staged.id)
        return import_of(row), False


def _copy(connection: Connection, lines: BinaryIO) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY import_rows ({', '.join(STAGED_COLUMNS)}) FROM STDIN") as copy:
        while block := lines.read(_BLOCK):
            copy.write(block)


def _drop_draft_before(connection: Connection, account_id: UUID, bill_id: UUID | None) -> None:
    """One preview at a time, so that looking at large files takes no room."""
    drafts = (ImportRow.account_id == account_id, ImportRow.bill_id == bill_id, ImportRow.state == "draft")
    connection.execute(delete(ImportRow).where(*drafts))


def _refuse_too_many(connection: Connection, account_id: UUID) -> None:
    """Counted without a lock: some that come at once may be too many by some."""
    query = select(func.count()).where(ImportRow.account_id == account_id, ImportRow.state.in_(UNFINISHED))
    if connection.execute(query).scalar_one() >= MOST_UNFINISHED:
        raise TooManyImports


def _note_started(connection: Connection, origin: Origin, row: Row) -> None:
    """Who imported what."""
    data = {"bill_id": row.bill_id and str(row.bill_id), "format": row.format, "rows": row.rows}
    events.append(connection, origin, "import.started", ("import", row.id), row.version, now(connection), data)


def start(engine: Engine, origin: Origin, bill_id: UUID, import_id: UUID) -> Import:
    """Confirms a draft; one that was started already stays as it is. Raises ImportNotFound, TooManyImports."""
    with transaction(engine) as connection:
        row = locked(connection, import_id)
        if row is None or row.bill_id != bill_id:
            raise ImportNotFound
        if row.state != "draft":
            return import_of(row)
        if row.created_at < now(connection) - DRAFT_KEPT:  # its rows are being dropped
            raise ImportNotFound
        _refuse_too_many(connection, origin.account_id)
        # Whoever confirms it is who imports.
        written = connection.execute(
            update(ImportRow)
            .where(ImportRow.id == import_id)
            .values(
                state="waiting",
                account_id=origin.account_id,
                actor_kind=origin.actor.kind,
                actor_id=origin.actor.id,
                actor_name=origin.actor.name,
                request_id=origin.request_id,
            )
            .returning(_IMPORTS)
        ).one()
        _note_started(connection, origin, written)
        return import_of(written)


def cancel(engine: Engine, origin: Origin, import_id: UUID) -> Import:
    """Rows without an outcome are left out; what was added stays. One that is over stays as it is.

    Raises ImportNotFound, for a draft too.
    """
    with transaction(engine) as connection:
        row = locked(connection, import_id)
        if row is None or row.state == "draft":  # nobody heard of that one
            raise ImportNotFound
        return import_of(row) if row.finished_at is not None else finish(connection, origin, row, "cancelled")


def finish(connection: Connection, origin: Origin, row: Row, state: str) -> Import:
    instant = now(connection)
    written = connection.execute(
        update(ImportRow)
        .where(ImportRow.id == row.id)
        .values(state=state, finished_at=instant, version=row.version + 1)
        .returning(_IMPORTS)
    ).one()
    data = {name: getattr(written, name) for name in ("state", "added", "replayed", "rejected")}
    events.append(connection, origin, "import.finished", ("import", row.id), written.version, instant, data)
    return import_of(written)


def locked(connection: Connection, import_id: UUID) -> Row | None:
    """The import's row, until the transaction ends."""
    return connection.execute(select(_IMPORTS).where(ImportRow.id == import_id).with_for_update()).one_or_none()


def by_id(engine: Engine, import_id: UUID) -> Import:
    """Raises ImportNotFound."""
    with snapshot(engine) as connection:
        return _read(connection, import_id)


def of_account(
    engine: Engine, account_id: UUID, import_id: UUID, *, customers: Collection[UUID] | None = None
) -> Import:
    """An account's own, and, to who is bound to `customers`, one that was bound to no others. Raises ImportNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(_own(account_id, customers).where(ImportRow.id == import_id)).one_or_none()
    if row is None:
        raise ImportNotFound
    return import_of(row)


def list_of_account(
    engine: Engine,
    account_id: UUID,
    *,
    customers: Collection[UUID] | None = None,
    before: UUID | None = None,
    limit: int,
) -> Sequence[Import]:
    """Newest first."""
    query = _own(account_id, customers).order_by(_IMPORTS.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(ImportRow.id < before)
    with snapshot(engine) as connection:
        return [import_of(row) for row in connection.execute(query)]


def _own(account_id: UUID, customers: Collection[UUID] | None) -> Select[Any]:
    query = select(_IMPORTS).where(ImportRow.account_id == account_id, ImportRow.state != "draft")
    return query if customers is None else query.where(_IMPORTS.c.customer_ids.contained_by(sorted(customers)))


def of_bill(engine: Engine, bill_id: UUID, *, limit: int) -> Sequence[Import]:
    """Those into this bill that were started, newest first."""
    query = select(_IMPORTS).where(ImportRow.bill_id == bill_id, ImportRow.state != "draft")
    with snapshot(engine) as connection:
        return [import_of(row) for row in connection.execute(query.order_by(_IMPORTS.c.id.desc()).limit(limit))]


def unfinished(engine: Engine) -> Sequence[UUID]:
    """Oldest first."""
    query = select(_IMPORTS.c.id).where(ImportRow.state.in_(UNFINISHED)).order_by(_IMPORTS.c.id)
    with snapshot(engine) as connection:
        return connection.execute(query).scalars().all()


def origin_of(row: Row) -> Origin:
    """Of what an import does: who sent it, in the request that did."""
    return Origin(Actor(ActorKind(row.actor_kind), row.actor_id, row.actor_name), row.account_id, row.request_id)


def _read(connection: Connection, import_id: UUID) -> Import:
    row = connection.execute(select(_IMPORTS).where(ImportRow.id == import_id)).one_or_none()
    if row is None:
        raise ImportNotFound
    return import_of(row)


def import_of(row: Row) -> Import:
    return Import(
        row.id, row.account_id, origin_of(row).actor, row.bill_id, row.format, bytes(row.digest), row.state, row.rows,
        row.added, row.replayed, row.rejected, row.created_at, row.started_at, row.finished_at,
        row.rows_dropped_at is None,
    )  # fmt: skip
