"""Currencies that are offered for new items: choosing them, and what becomes of items in others.

A repeat of an addition is answered whatever is offered by then: its key, or its reference, keeps its outcome for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from billing.bill import LineItemDraft
from billing.errors import UnsupportedCurrency
from billing.ledger import idempotency, references, settings
from billing.ledger.events import Event
from billing.origin import Origin
from webapp.system import System


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered of what is `configured`; a change of it names the `version`."""

    codes: tuple[str, ...]
    configured: tuple[str, ...]
    version: int


def current(system: System) -> Offer:
    """As stored, not as this process remembers it."""
    ceiling = system.configured_currencies
    codes, version = settings.offered_version(system.engine, ceiling=ceiling)
    return Offer(codes, ceiling, version)


def last_change(system: System) -> Event | None:
    return settings.last_change(system.engine)


def offer(system: System, origin: Origin, codes: Iterable[str], *, expected_version: int | None = None) -> None:
    """Other processes know of it within a second. Raises InvalidArgument, UnsupportedCurrency and VersionConflict."""
    ceiling = system.configured_currencies
    settings.offer(system.engine, origin, codes, ceiling=ceiling, expected_version=expected_version)
    system.offered.renewed()


def refuse_withdrawn(system: System, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> None:
    """Raises UnsupportedCurrency for a new item in a currency that isn't offered any more."""
    if draft.currency in system.supported_currencies:
        return
    key, reference = origin.idempotency_key, draft.source_and_reference
    is_known = key is not None and bool(known_additions(system, origin, bill_id, [key]))
    if not is_known and not (reference and known_references(system, bill_id, [reference])):
        raise UnsupportedCurrency(field="currency")


def known_additions(system: System, origin: Origin, bill_id: UUID, keys: Sequence[str]) -> Mapping[str, bytes]:
    """Which of these keys have added items to the bill, with their fingerprints."""
    return idempotency.known_additions(system.engine, origin, bill_id, keys)


def known_references(system: System, bill_id: UUID, pairs: Collection[tuple[str, str]]) -> Collection[tuple[str, str]]:
    """Which of these sources with their references the bill's customer was charged for."""
    return references.taken(system.engine, bill_id, pairs)
