"""Many rows at once: of those with one key the first is decided, and the later ones repeat it as they would in a call
of their own; a bill that takes none refuses them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from billing.errors import FailedPrecondition, IdempotencyKeyReused
from billing.ledger.line_items import Entry, Outcome


def identity(entry: Entry) -> str | UUID:
    """What makes a row another row: its key, or that it has none."""
    return entry.key if entry.key is not None else entry.id


def first_with_each_key(entries: Iterable[Entry]) -> dict[str | UUID, Entry]:
    firsts: dict[str | UUID, Entry] = {}
    for entry in entries:
        firsts.setdefault(identity(entry), entry)
    return firsts


def outcome_of(entry: Entry, firsts: Mapping[str | UUID, Entry], decided: Mapping[UUID, Outcome]) -> Outcome:
    """`decided` are the outcomes of the first ones, by their ids."""
    first = firsts[identity(entry)]
    outcome = decided[first.id]
    if first is entry or outcome.item is None:
        return outcome
    if first.fingerprint != entry.fingerprint:
        return Outcome(None, replayed=False, refusal=IdempotencyKeyReused())
    return Outcome(outcome.item, replayed=True, refusal=None)


def refuse_as_a_whole(outcomes: Sequence[Outcome]) -> None:
    """Raises the refusal of the bill's state, when nothing was added now or before."""
    if any(outcome.item is not None for outcome in outcomes):
        return
    for outcome in outcomes:
        if isinstance(outcome.refusal, FailedPrecondition):
            raise outcome.refusal
