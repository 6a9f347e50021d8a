"""Sending what is due to one webhook endpoint: several at once, each bill's in order, a round at a time.

Everything that matters is stored before the next step is taken: a round that is broken off is done again from there,
and at worst an event that had arrived is sent once more.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine

from billing.errors import BillingError
from billing.ledger import webhook_backlog, webhook_queue
from billing.ledger.webhook_queue import Attempt, Due, Target
from billing.origin import Origin
from billing.sealing import Seal
from billing.webhooks import Patience, signed_headers
from workflows import metrics, outgoing
from workflows.outgoing import Outcome, Policy

AT_ONCE = 8
# Of these, events that failed before: where they hang, the others go on.
AGAIN_AT_ONCE = AT_ONCE // 2
# A round that goes on for longer hands over to the next, so that its workflow stays in charge.
ROUND_S = 15.0
# Whoever has a round and doesn't come back is missed after that.
MISSED_AFTER = timedelta(seconds=60)
LOOK_UP_S = 0.25
# Where so many fail and nothing arrives, the rest waits.
HOPELESS = 2 * AT_ONCE

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class SecretUnreadable(BillingError):
    """The endpoint's secret was sealed under another SECRET_KEY, or this process has none."""

    code = "failed_precondition"
    reason = "secret_unreadable"
    default_message = "this webhook's secret was sealed under another SECRET_KEY: rotate it"


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round. `wait`: until there is something to do, None when nobody knows; `is_over`: the endpoint is
    paused, or gone."""

    arrived: int = 0
    failed: int = 0
    wait: timedelta | None = None
    is_over: bool = False


class Delivering:
    """Safe to use by many threads, each for an endpoint of its own."""

    def __init__(self, engine: Engine, secret_key: str | None, policy: Policy, patience: Patience) -> None:
        self._engine = engine
        self._seal = Seal(secret_key) if secret_key else None
        self._policy = policy
        self._patience = patience

    def round(
        self,
        endpoint_id: UUID,
        origin: Origin,
        *,
        for_s: float = ROUND_S,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> Round:
        """Sends what is due until nothing is, or `for_s` have passed. `is_stopping` is asked several times a second;
        then what is under way is left to itself. Raises Unavailable."""
        target = webhook_queue.target(self._engine, endpoint_id)
        if target is None or not target.is_active:
            return self._over(endpoint_id)
        if target.rest:
            return Round(wait=target.rest)
        webhook_queue.look_again(self._engine, endpoint_id, MISSED_AFTER)
        under_way = _UnderWay(self, endpoint_id, until_s=time.monotonic() + for_s)
        try:
            under_way.run(is_stopping)
        finally:
            under_way.let_go()
        return self._settled(endpoint_id, origin, under_way)

    def _settled(self, endpoint_id: UUID, origin: Origin, under_way: _UnderWay) -> Round:
        arrived, failed = under_way.arrived, under_way.failed
        rest = webhook_queue.settle(
            self._engine,
            origin,
            endpoint_id,
            self._patience,
            arrived=arrived > 0,
            failed=failed > 0,
            rests=under_way.is_hopeless,
        )
        target = webhook_queue.target(self._engine, endpoint_id)
        if target is None or not target.is_active:
            return self._over(endpoint_id, arrived, failed)
        has_more = under_way.has_more and not under_way.is_hopeless
        return Round(arrived, failed, timedelta(0) if has_more else rest)

    def _over(self, endpoint_id: UUID, arrived: int = 0, failed: int = 0) -> Round:
        webhook_queue.let_go(self._engine, endpoint_id)
        return Round(arrived, failed, is_over=True)

    def fill(self, endpoint_id: UUID) -> bool:
        return webhook_backlog.fill(self._engine, endpoint_id, give_up_after=self._patience.give_up_after)

    def due(self, endpoint_id: UUID) -> tuple[Target | None, Sequence[Sequence[Due]]]:
        return webhook_queue.target(self._engine, endpoint_id), webhook_queue.due(self._engine, endpoint_id)

    def send(self, target: Target, delivery: Due) -> bool:
        """Whether it arrived; which is stored before anybody knows."""
        attempt = self._attempt(target, delivery)
        webhook_queue.record(self._engine, target.endpoint_id, delivery, attempt, self._patience)
        metrics.webhook_attempted(_outcome(attempt), attempt.latency_ms)
        return attempt.is_delivered

    def _attempt(self, target: Target, delivery: Due) -> Attempt:
        try:
            secrets = self._secrets(target)
        except SecretUnreadable as error:
            return Attempt(is_delivered=False, status=None, latency_ms=0, excerpt="", error=error.reason)
        body = _ENCODER.encode(delivery.body).encode()
        headers = signed_headers(delivery.event_id, datetime.now(UTC), body, secrets)
        outcome = self._post(target.url, body, {"content-type": "application/json", **headers})
        return Attempt(outcome.delivered, outcome.status, outcome.latency_ms, outcome.excerpt, outcome.error)

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
        return outgoing.post(url, body, headers, policy=self._policy)

    def _secrets(self, target: Target) -> list[str]:
        """The one in use, and the one before if it can be opened. Raises SecretUnreadable."""
        current, *before = target.sealed_secrets
        secrets = [self._opened(target.endpoint_id, current)]
        for sealed in before:
            with suppress(SecretUnreadable):
                secrets.append(self._opened(target.endpoint_id, sealed))
        return secrets

    def _opened(self, endpoint_id: UUID, sealed: str) -> str:
        secret = self._seal.open(purpose(endpoint_id), sealed) if self._seal else None
        if secret is None:
            raise SecretUnreadable
        return secret


def _outcome(attempt: Attempt) -> str:
    return "delivered" if attempt.is_delivered else attempt.error or "refused"


def purpose(endpoint_id: UUID) -> str:
    """What a secret is sealed for: that of one endpoint opens no other's."""
    return f"webhook secret {endpoint_id}"


class _UnderWay:
    """One round: which bills' events are being sent now, and what has come of those before."""

    def __init__(self, delivering: Delivering, endpoint_id: UUID, *, until_s: float) -> None:
        self._delivering = delivering
        self._endpoint_id = endpoint_id
        self._until_s = until_s
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self._sent: dict[Future[None], Sequence[Due]] = {}
        self._new: deque[Sequence[Due]] = deque()
        self._again: deque[Sequence[Due]] = deque()
        self._ended = threading.Event()
        self._counting = threading.Lock()
        self._look_at_s = 0.0
        self._target: Target | None = None
        self._has_grown = False
        self.arrived = self.failed = 0
        self.has_more = True

    @property
    def is_hopeless(self) -> bool:
        return self.failed >= HOPELESS and not self.arrived

    def run(self, is_stopping: Callable[[], bool]) -> None:
        while not is_stopping():
            if time.monotonic() >= self._until_s or self.is_hopeless:
                self._ended.set()
            if not self._ended.is_set():
                self._begin_some()
            if not self._sent:
                # Nothing of what was queued is due, and there may be more to queue.
                if self._has_grown and not self._ended.is_set():
                    continue
                return
            done, _ = wait(self._sent, timeout=LOOK_UP_S, return_when=FIRST_COMPLETED)
            for future in done:
                del self._sent[future]
                future.result()
        self._ended.set()

    def let_go(self) -> None:
        """What is still under way ends by itself, after the event that is being sent now."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin_some(self) -> None:
        if not self._new:
            self._look()
        again = sum(_is_again(chain) for chain in self._sent.values())
        while len(self._sent) < AT_ONCE:
            if self._again and again < AGAIN_AT_ONCE:
                chain = self._again.popleft()
                again += 1
            elif self._new:
                chain = self._new.popleft()
            else:
                return
            assert self._target is not None
            self._sent[self._pool.submit(self._send, self._target, chain)] = chain

    def _look(self) -> None:
        """Queues more and reads what is due; not at once again after nothing was, while others are being sent."""
        if self._sent and time.monotonic() < self._look_at_s:
            return
        self._has_grown = self._delivering.fill(self._endpoint_id)
        self._target, due = self._delivering.due(self._endpoint_id)
        if self._target is None or not self._target.is_active:
            self._ended.set()
            return
        busy = {chain[0].subject_id for chain in self._sent.values()}
        ready = [chain for chain in due if chain[0].subject_id not in busy]
        self._new = deque(chain for chain in ready if not _is_again(chain))
        self._again = deque(chain for chain in ready if _is_again(chain))
        # Where nothing is due there may still be more in the log than there was room for.
        self.has_more = self._has_grown or bool(due)
        if not self._new:
            self._look_at_s = time.monotonic() + LOOK_UP_S

    def _send(self, target: Target, chain: Sequence[Due]) -> None:
        for delivery in chain:
            if self._ended.is_set():
                return
            has_arrived = self._delivering.send(target, delivery)
            with self._counting:
                self.arrived += has_arrived
                self.failed += not has_arrived
            if not has_arrived:
                return


def _is_again(chain: Sequence[Due]) -> bool:
    return chain[0].tries > 0
