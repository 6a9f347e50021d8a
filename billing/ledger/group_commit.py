"""Items that come at the same time go to PostgreSQL together: one round trip, one transaction, one lock of a bill.

Whoever comes while nothing is under way goes at once. Those that come meanwhile wait, and one of them takes all of them
along in the next call. Nobody waits for others to come, so that a single caller loses nothing; and what becomes of
each is what would have become of it alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from billing.bill import LineItemDraft
from billing.errors import BillingError, BillNotFound, IdempotencyInProgress, Unavailable
from billing.ledger.adding import Added, Asked, Outcome, add_together, alone, as_read, asked
from billing.ledger.engines import LOCK_TIMEOUT_S
from billing.origin import Origin

MOST_TOGETHER = 64
# Calls under way that don't wait for anybody's lock. One more than one, so that a slow one isn't everybody's.
MOST_UNDER_WAY = 2


class GroupCommit:
    """One a process, for all threads."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._lock = threading.Lock()
        self._waiting: list[_Place] = []
        self._under_way = 0
        # Bills in a call that is under way: what comes for them meanwhile waits for the next.
        self._taken: set[UUID] = set()

    def add(self, origin: Origin, bill_id: UUID, draft: LineItemDraft) -> Added:
        """One item. Raises what refused it."""
        place = _Place(asked(origin, bill_id, draft))
        with self._lock:
            self._waiting.append(place)
            call = self._next_call()
        if call is not None and call.places[0] is not place:
            call.places[0].lead(call)
            call = None
        call = call or place.wait(self._withdraw)
        while call is not None:
            call = self._carry_out(call, place)
        return self._decided(place)

    def _decided(self, place: _Place) -> Added:
        outcome = place.outcome
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        return as_read(self._engine, outcome)

    # Under the lock

    def _next_call(self) -> _Call | None:
        """Takes from those who wait whoever can go now, all of them in one call."""
        if self._under_way >= MOST_UNDER_WAY:
            return None
        places = self._take(place for place in self._waiting if place.asked.bill_id not in self._taken)
        if not places:
            return None
        self._under_way += 1
        return _Call(places, waits=False)

    def _take(self, candidates: Iterable[_Place]) -> list[_Place]:
        """No two with one key or reference: the second waits for what becomes of the first. Who waits for a reference
        that another process is storing keeps nobody waiting who has none."""
        chosen: list[_Place] = []
        keys: set[object] = set()
        for place in candidates:
            its_keys = place.asked.keys
            if chosen and place.asked.has_reference is not chosen[0].asked.has_reference:
                continue
            if len(chosen) < MOST_TOGETHER and keys.isdisjoint(its_keys):
                chosen.append(place)
                keys.update(its_keys)
        if chosen:
            going = set(chosen)
            self._waiting = [place for place in self._waiting if place not in going]
            self._taken |= {place.asked.bill_id for place in chosen}
        return chosen

    def _withdraw(self, place: _Place) -> BillingError | None:
        """What whoever waited too long is told; None when a call has taken them along meanwhile."""
        with self._lock:
            if place not in self._waiting:
                return None
            self._waiting.remove(place)
            # With nobody on its bill it waited for the database, which answers none of those under way.
            return IdempotencyInProgress() if place.asked.bill_id in self._taken else Unavailable()

    # By whoever leads a call

    def _carry_out(self, call: _Call, leader: _Place) -> _Call | None:
        """Returns the call that the leader is to carry out next: its own bill may have been locked."""
        left = call.places
        try:
            left = self._decide(call)
        except BaseException as error:
            refusal = error if isinstance(error, BillingError) else Unavailable()
            for place in call.places:
                place.outcome = place.outcome or _alike(refusal)
            left = []
            if not isinstance(error, BillingError):
                leader.outcome = error
        return self._go_on(call, left, leader)

    def _decide(self, call: _Call) -> Sequence[_Place]:
        """Gives everybody an outcome but those whose bills are locked, whom it returns."""
        try:
            outcomes = add_together(self._engine, [place.asked for place in call.places], waits=call.waits)
        except IdempotencyInProgress:
            if call.waits or len(call.places) == 1:
                raise
            # No bill was waited for, so it was one of the references: each alone, so that the others have theirs.
            for place in call.places:
                place.outcome = self._alone(place)
            return []
        except psycopg.Error:
            # A row that the database refuses takes back all: each alone, under the ids they had.
            for place in call.places:
                place.outcome = self._alone(place)
            return []
        left = []
        for place, outcome in zip(call.places, outcomes, strict=True):
            if outcome is None and not call.waits:
                left.append(place)
            else:
                place.outcome = outcome or BillNotFound()
        return left

    def _alone(self, place: _Place) -> Outcome | BaseException:
        try:
            return alone(self._engine, place.asked)
        except Exception as error:
            return error

    def _go_on(self, call: _Call, left: Sequence[_Place], leader: _Place) -> _Call | None:
        """Hands on what is to be done next, one bill's call each, and wakes whoever is decided."""
        with self._lock:
            following = [_Call(places, waits=True) for places in _by_bill(left)]
            waited = {place.asked.bill_id for place in call.places} - {place.asked.bill_id for place in left}
            self._taken -= waited
            if call.waits:
                following += self._next_on(waited)
            else:
                self._under_way -= 1
            while next_call := self._next_call():
                following.append(next_call)
        mine = None
        for one in following:
            if leader in one.places:
                mine = one
            else:
                one.places[0].lead(one)
        for place in call.places:
            if place.outcome is not None and place is not leader:
                place.wake()
        return mine

    def _next_on(self, bills: set[UUID]) -> list[_Call]:
        """Where somebody else has just had the lock, the next waits for it at once."""
        places = self._take(place for place in self._waiting if place.asked.bill_id in bills)
        return [_Call(places, waits=True)] if places else []


class _Call:
    """Led by the first of its places, unless the one who leads already is among them."""

    __slots__ = ("places", "waits")

    def __init__(self, places: Sequence[_Place], *, waits: bool):
        self.places = places
        self.waits = waits


class _Place:
    """Somebody who asked: waits until there is an outcome, or until it is to lead a call."""

    __slots__ = ("_call", "_turn", "asked", "outcome")

    def __init__(self, wanted: Asked):
        self.asked = wanted
        self.outcome: Outcome | BaseException | None = None
        self._call: _Call | None = None
        self._turn = threading.Lock()
        self._turn.acquire()

    def lead(self, call: _Call) -> None:
        self._call = call
        self._turn.release()

    def wake(self) -> None:
        self._turn.release()

    def wait(self, withdraw: Callable[[_Place], BillingError | None]) -> _Call | None:
        """The call it is to lead, or None when it was decided."""
        if not self._turn.acquire(timeout=LOCK_TIMEOUT_S):
            refusal = withdraw(self)
            if refusal is not None:
                self.outcome = refusal
                return None
            self._turn.acquire()
        return self._call


def _by_bill(places: Iterable[_Place]) -> list[list[_Place]]:
    found: dict[UUID, list[_Place]] = {}
    for place in places:
        found.setdefault(place.asked.bill_id, []).append(place)
    return list(found.values())


def _alike(error: BillingError) -> BillingError:
    """An error of its own for each thread that raises it."""
    return type(error)()
