"""Which currencies are offered for new items, within those that the configuration allows.

Currencies that are on a bill stay: it is read, reversed and closed whatever is offered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from sqlalchemy import Engine, select, update

from billing.errors import InvalidArgument, UnsupportedCurrency, VersionConflict
from billing.ledger import events
from billing.ledger.clock import now
from billing.ledger.database import one_row, snapshot, transaction
from billing.ledger.events import Event
from billing.ledger.tables.settings import SettingsRow
from billing.origin import Origin

_SUBJECT = ("settings", UUID(int=2))


def choose(codes: Iterable[str], *, ceiling: Sequence[str]) -> tuple[str, ...]:
    """Some of the configured currencies, in their order. Raises InvalidArgument for none of them, or for another."""
    wanted = set(codes)
    if not wanted:
        raise InvalidArgument("at least one currency must be offered", reason="required", field="offered")
    if wanted - set(ceiling):
        raise UnsupportedCurrency(field="offered")
    return tuple(code for code in ceiling if code in wanted)


def offered(engine: Engine, *, ceiling: Sequence[str]) -> tuple[str, ...]:
    """One round trip, for every process every second."""
    row = one_row(engine, "SELECT offered_currencies FROM settings", ())
    return _within(ceiling, row.offered_currencies)


def offered_version(engine: Engine, *, ceiling: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """What is offered, and the version that a change of it names; 0 before the first change."""
    with snapshot(engine) as connection:
        row = connection.execute(select(SettingsRow.__table__)).one()
    return _within(ceiling, row.offered_currencies), row.version


def last_change(engine: Engine) -> Event | None:
    return next(iter(events.latest_of_subject(engine, _SUBJECT[1], before_version=None, limit=1)), None)


def offer(
    engine: Engine,
    origin: Origin,
    codes: Iterable[str],
    *,
    ceiling: Sequence[str],
    expected_version: int | None = None,
) -> tuple[str, ...]:
    """From now on these are offered; what is offered already changes nothing.

    All that are configured means also those that are configured later. Raises as `choose` does, and VersionConflict.
    """
    wanted = choose(codes, ceiling=ceiling)
    with transaction(engine) as connection:
        row = connection.execute(select(SettingsRow.__table__).with_for_update()).one()
        before = _within(ceiling, row.offered_currencies)
        if wanted == before:
            return wanted
        if expected_version not in {None, row.version}:
            raise VersionConflict("the currencies offered were changed meanwhile")
        stored = None if wanted == tuple(ceiling) else list(wanted)
        connection.execute(update(SettingsRow).values(offered_currencies=stored, version=row.version + 1))
        data = {"offered": _without(wanted, before), "withdrawn": _without(before, wanted)}
        events.append(connection, origin, "currencies.changed", _SUBJECT, row.version + 1, now(connection), data)
    return wanted


def _within(ceiling: Sequence[str], stored: Collection[str] | None) -> tuple[str, ...]:
    """Where the configuration has taken all of what was chosen away, all that is left of it serves."""
    return tuple(code for code in ceiling if stored is None or code in stored) or tuple(ceiling)


def _without(codes: Iterable[str], others: Collection[str]) -> list[str]:
    return [code for code in codes if code not in others]
