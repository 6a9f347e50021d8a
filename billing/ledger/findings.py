"""What was found to differ and still does: noted when it is seen, resolved by itself when it is seen no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.errors import NotFound
from billing.identifiers import new_id
from billing.ledger.consistency import Difference, Kind
from billing.ledger.database import snapshot, transaction
from billing.origin import Actor

NOBODY = UUID(int=0)
MOST_COUNTED = 10_000
KEPT_RESOLVED = "30 days"


class FindingNotFound(NotFound):
    """There is no such finding."""

    reason = "finding_not_found"
    default_message = "finding not found"


@dataclass(frozen=True, slots=True)
class Finding:
    """`bill_id` is None for the ledger as a whole; `resolved_at` None while it differs."""

    id: UUID
    bill_id: UUID | None
    kind: Kind
    cause: str
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None
    repair_asked_at: datetime | None
    repair_asked_by: str | None


def note(
    engine: Engine, found: Sequence[Difference], *, kinds: Collection[Kind], bill_ids: Sequence[UUID] | None
) -> None:
    """Keeps what was found, and resolves what was not: of these kinds, about these bills; None: the whole ledger.

    Several differences of one kind about one bill are one finding.
    """
    causes: dict[tuple[UUID, str], list[str]] = {}
    for difference in found:
        causes.setdefault((difference.bill_id or NOBODY, difference.kind), []).append(difference.sentence)
    looked_at = [NOBODY] if bill_ids is None else list(bill_ids)
    with transaction(engine) as connection:
        _keep(connection, causes)
        still = [f"{bill_id}/{kind}" for bill_id, kind in causes]
        connection.execute(_RESOLVE, {"bill_ids": looked_at, "kinds": list(kinds), "still": still})


def _keep(connection: Connection, causes: Mapping[tuple[UUID, str], Sequence[str]]) -> None:
    # In one order everywhere, so that two that note the same never wait for each other.
    in_order = sorted(causes, key=lambda key: (key[0].bytes, key[1]))
    columns = {
        "ids": [new_id() for _ in in_order],
        "bill_ids": [bill_id for bill_id, _ in in_order],
        "kinds": [kind for _, kind in in_order],
        "causes": ["; ".join(causes[key]) for key in in_order],
    }
    connection.execute(_KEEP, columns)


_KEEP = text(
    """
    INSERT INTO findings AS kept (id, bill_id, kind, cause)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:bill_ids AS uuid[]), CAST(:kinds AS text[]),
                         CAST(:causes AS text[]))
    ON CONFLICT (bill_id, kind) WHERE resolved_at IS NULL
    DO UPDATE SET cause = excluded.cause, last_seen = clock_timestamp()
    """
)
_RESOLVE = text(
    """
    UPDATE findings SET resolved_at = clock_timestamp()
    WHERE resolved_at IS NULL AND bill_id = ANY(:bill_ids) AND kind = ANY(:kinds)
      AND bill_id || '/' || kind <> ALL(:still)
    """
)


def forget_old(engine: Engine) -> None:
    """Those that were resolved a month ago."""
    with transaction(engine) as connection:
        connection.execute(
            text("DELETE FROM findings WHERE resolved_at < clock_timestamp() - CAST(:kept AS interval)"),
            {"kept": KEPT_RESOLVED},
        )


def counts(engine: Engine) -> dict[Kind, int]:
    """How many there are of each kind that still differ."""
    with snapshot(engine) as connection:
        rows = connection.execute(
            text("SELECT kind, count(*) AS open FROM findings WHERE resolved_at IS NULL GROUP BY kind")
        )
        return {Kind(row.kind): row.open for row in rows}


def count_open(engine: Engine) -> int:
    """At most MOST_COUNTED: more are many."""
    with snapshot(engine) as connection:
        counted: int = connection.execute(
            text("SELECT count(*) FROM (SELECT FROM findings WHERE resolved_at IS NULL LIMIT :most) AS found"),
            {"most": MOST_COUNTED},
        ).scalar_one()
        return counted


def still_open(engine: Engine, *, after: UUID | None, limit: int) -> Sequence[Finding]:
    """Those that were found first stand first; those after one."""
    with snapshot(engine) as connection:
        rows = connection.execute(_OPEN, {"after": after or NOBODY, "limit": limit})
        return [_finding_of(row) for row in rows]


_OPEN = text("SELECT * FROM findings WHERE resolved_at IS NULL AND id > :after ORDER BY id LIMIT :limit")


def resolved(engine: Engine, *, limit: int) -> Sequence[Finding]:
    """The last ones first."""
    with snapshot(engine) as connection:
        rows = connection.execute(_RESOLVED, {"limit": limit})
        return [_finding_of(row) for row in rows]


_RESOLVED = text("SELECT * FROM findings WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC, id DESC LIMIT :limit")


def open_of(engine: Engine, bill_ids: Sequence[UUID]) -> set[tuple[UUID, Kind]]:
    """What is open about these bills."""
    with snapshot(engine) as connection:
        rows = connection.execute(_OPEN_OF, {"ids": list(bill_ids)})
        return {(row.bill_id, Kind(row.kind)) for row in rows}


_OPEN_OF = text("SELECT bill_id, kind FROM findings WHERE resolved_at IS NULL AND bill_id = ANY(:ids)")


def bills_of_kind(engine: Engine, kind: Kind) -> Sequence[UUID]:
    """Bills about which this is open, some thousand at most."""
    with snapshot(engine) as connection:
        rows = connection.execute(_OF_KIND, {"kind": kind})
        return list(rows.scalars())


_OF_KIND = text("SELECT bill_id FROM findings WHERE resolved_at IS NULL AND kind = :kind ORDER BY id LIMIT 1000")


def by_id(engine: Engine, finding_id: UUID) -> Finding:
    """Raises FindingNotFound."""
    with snapshot(engine) as connection:
        row = connection.execute(text("SELECT * FROM findings WHERE id = :id"), {"id": finding_id}).one_or_none()
    if row is None:
        raise FindingNotFound
    return _finding_of(row)


def repair_asked(engine: Engine, finding_id: UUID, actor: Actor) -> None:
    """Keeps who asked for its repair, and when."""
    with transaction(engine) as connection:
        connection.execute(
            text("UPDATE findings SET repair_asked_at = clock_timestamp(), repair_asked_by = :name WHERE id = :id"),
            {"id": finding_id, "name": actor.name},
        )


def _finding_of(row: object) -> Finding:
    values = row._mapping  # type: ignore[attr-defined]  # noqa: SLF001  how SQLAlchemy names it
    about = None if values["bill_id"] == NOBODY else values["bill_id"]
    return Finding(**{**values, "bill_id": about, "kind": Kind(values["kind"])})
