"""What comes next for a webhook endpoint is queued a batch at a time: of the log, of bills that are behind, of what is
to be sent again.

The log itself is the backlog. Only so much of it is queued as can soon be sent, and of one bill so little that one
whose events don't arrive keeps none of the others from being queued.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from billing.ledger import feed
from billing.ledger.clock import now
from billing.ledger.database import transaction
from billing.ledger.events import Event, LogPosition, event_of
from billing.ledger.public_events import PUBLIC
from billing.ledger.rows import Row

BATCH = 500
LOOKED_THROUGH = 2_000
MOST_PENDING = 20_000
# What is sent again leaves room for what is new.
MOST_PENDING_TO_SEND_AGAIN = MOST_PENDING // 2
# The rest of a bill waits in the log, until half of these have been sent.
MOST_OF_A_BILL = 100


def fill(engine: Engine, endpoint_id: UUID, *, give_up_after: timedelta) -> bool:
    """Queues what comes next; whether there is more that there is room for. The place in the log moves on in the same
    transaction: nothing is left out, and nothing queued twice, whoever dies."""
    with transaction(engine) as connection:
        row = connection.execute(_LOCK, {"id": endpoint_id}).one_or_none()
        if row is None or row.status != "active":
            return False
        filling = _Filling(connection, row, give_up_after)
        # Each of them, however much there is of the others.
        return any([filling.again(), filling.of_those_behind(), filling.of_the_log()])


class _Filling:
    """One batch of each kind, by whoever has the endpoint's lock; each says whether there is more."""

    def __init__(self, connection: Connection, row: Row, give_up_after: timedelta) -> None:
        self._connection = connection
        self._id: UUID = row.id
        self._place = LogPosition(row.place_xid, row.seq)
        self._types: Collection[str] = row.types or list(PUBLIC)
        self._give_up_after = give_up_after
        self._pending: int = connection.execute(_PENDING, {"id": self._id, "most": MOST_PENDING}).scalar_one()

    def again(self) -> bool:
        """Carries on the oldest wish to send a range again."""
        room = MOST_PENDING_TO_SEND_AGAIN - self._pending
        wish = self._connection.execute(_WISH, {"id": self._id}).mappings().one_or_none()
        if wish is None or room <= 0:
            return False
        asked = {**wish, "scan": min(LOOKED_THROUGH, room), "give_up_after": self._give_up_after}
        done = self._connection.execute(_SEND_AGAIN, {**asked, "now": now(self._connection)}).one()
        self._pending += done.queued
        is_over = done.reached is None or done.looked_at < asked["scan"]
        self._connection.execute(_CARRIED_OUT, {"wish": wish["wish"], "reached": done.reached, "is_over": is_over})
        return True

    def of_those_behind(self) -> bool:
        """Carries on with bills that wait in the log, as soon as little of them is queued."""
        low, queued = MOST_OF_A_BILL // 2, 0
        behind = self._connection.execute(_BEHIND, {"id": self._id, "low": low, "most": BATCH // low}).all()
        for subject_id, from_version in behind:
            most = min(MOST_OF_A_BILL - low, MOST_PENDING - self._pending)
            if most <= 0:
                break
            asked = {"subject": subject_id, "from_version": from_version, "types": list(self._types), "most": most}
            found = [event_of(row) for row in self._connection.execute(_OF_A_BILL, asked)]
            self._queue(found)
            queued += len(found)
            rest = {"id": self._id, "subject": subject_id}
            if len(found) < most:
                self._connection.execute(_CAUGHT_UP, rest)
            else:
                self._connection.execute(_WAITS_FROM, {**rest, "from_version": found[-1].version + 1})
        return queued > 0

    def of_the_log(self) -> bool:
        room = MOST_PENDING - self._pending
        if room <= 0:
            return False
        found, reached, has_more = feed.read(
            self._connection, self._place, self._types, limit=min(BATCH, room), scan=LOOKED_THROUGH
        )
        queued, waiting = self._divided(found)
        self._queue(queued)
        if waiting:
            # A bill's events are in the log in the order of its versions but for transactions that overlap.
            first = {one.subject_id: one.version for one in sorted(waiting, key=lambda one: -one.version)}
            columns = {"subjects": list(first), "versions": list(first.values())}
            self._connection.execute(_WAIT, {**columns, "id": self._id})
        if reached != self._place:
            self._connection.execute(_MOVE, {"xid": str(reached.xid), "seq": reached.seq, "id": self._id})
        return has_more

    def _divided(self, found: Sequence[Event]) -> tuple[list[Event], list[Event]]:
        """Those to be queued, and those whose bill has enough that is queued."""
        if not found:
            return [], []
        asked = {"id": self._id, "subjects": list({one.subject_id for one in found}), "most": MOST_OF_A_BILL}
        pending: Counter[UUID] = Counter()
        for row in self._connection.execute(_PENDING_OF, asked):
            pending[row.subject_id] = MOST_OF_A_BILL if row.is_behind else row.pending
        queued, waiting = list[Event](), list[Event]()
        for one in found:
            (waiting if pending[one.subject_id] >= MOST_OF_A_BILL else queued).append(one)
            pending[one.subject_id] += 1
        return queued, waiting

    def _queue(self, found: Iterable[Event]) -> None:
        events = list(found)
        if not events:
            return
        columns = {
            "subjects": [event.subject_id for event in events],
            "versions": [event.version for event in events],
            "types": [event.type for event in events],
            "instants": [event.occurred_at for event in events],
        }
        asked = {**columns, "id": self._id, "give_up_after": self._give_up_after}
        self._pending += self._connection.execute(_QUEUE, asked).rowcount


_LOCK = text("SELECT *, xid::text::bigint AS place_xid FROM webhook_endpoints WHERE id = :id FOR UPDATE")
_PENDING = text(
    """
    SELECT count(*) FROM (
        SELECT FROM webhook_deliveries WHERE endpoint_id = :id AND status = 'pending' LIMIT :most
    ) AS pending
    """
)
_PENDING_OF_A_BILL = """
    SELECT count(*) FROM (
        SELECT FROM webhook_deliveries d
        WHERE d.endpoint_id = :id AND d.subject_id = s.subject_id AND d.status = 'pending' LIMIT :{most}
    ) AS pending
"""
_PENDING_OF = text(
    f"""
    SELECT s.subject_id, b.subject_id IS NOT NULL AS is_behind,
           ({_PENDING_OF_A_BILL.format(most="most")}) AS pending
    FROM unnest(CAST(:subjects AS uuid[])) AS s(subject_id)
    LEFT JOIN webhook_backlogs b ON b.endpoint_id = :id AND b.subject_id = s.subject_id
    """  # noqa: S608  constants
)
# A place that a restore set back may come by events that are queued: those are told apart by what they are of.
_QUEUE = text(
    """
    INSERT INTO webhook_deliveries (endpoint_id, subject_id, version, type, occurred_at, queued_at, next_attempt_at,
                                    give_up_at)
    SELECT :id, e.subject_id, e.version, e.type, e.occurred_at, i.now, i.now, i.now + :give_up_after
    FROM unnest(CAST(:subjects AS uuid[]), CAST(:versions AS bigint[]), CAST(:types AS text[]),
                CAST(:instants AS timestamptz[]))
        WITH ORDINALITY AS e(subject_id, version, type, occurred_at, place),
        (SELECT billing_now() AS now) AS i
    ORDER BY e.place
    ON CONFLICT (endpoint_id, subject_id, version) DO NOTHING
    """
)
_MOVE = text("UPDATE webhook_endpoints SET xid = CAST(CAST(:xid AS text) AS xid8), seq = :seq WHERE id = :id")
_WAIT = text(
    """
    INSERT INTO webhook_backlogs AS known (endpoint_id, subject_id, from_version)
    SELECT :id, w.* FROM unnest(CAST(:subjects AS uuid[]), CAST(:versions AS bigint[])) AS w(subject_id, version)
    ON CONFLICT (endpoint_id, subject_id)
    DO UPDATE SET from_version = least(known.from_version, excluded.from_version)
    """
)
# Those with the least first: who is sent much in a short time keeps none of the others waiting.
_BEHIND = text(
    f"""
    SELECT subject_id, from_version FROM (
        SELECT s.subject_id, s.from_version, ({_PENDING_OF_A_BILL.format(most="low")}) AS pending
        FROM webhook_backlogs s WHERE s.endpoint_id = :id
    ) AS behind
    WHERE pending < :low ORDER BY pending LIMIT :most
    """  # noqa: S608  constants
)
# Whoever sees an event of a bill sees all that came before it: each waited for the one before to commit.
_OF_A_BILL = text(
    """
    SELECT *, xid::text::bigint AS xid_number FROM events
    WHERE subject_id = :subject AND version >= :from_version AND type = ANY(:types) ORDER BY version LIMIT :most
    """
)
_CAUGHT_UP = text("DELETE FROM webhook_backlogs WHERE endpoint_id = :id AND subject_id = :subject")
_WAITS_FROM = text(
    "UPDATE webhook_backlogs SET from_version = :from_version WHERE endpoint_id = :id AND subject_id = :subject"
)
_WISH = text(
    """
    SELECT id AS wish, endpoint_id AS id, since, until, only_failed, asked_at, after_n, last_n
    FROM webhook_redeliveries WHERE endpoint_id = :id AND finished_at IS NULL ORDER BY id LIMIT 1
    """
)
# What was sent again or given up since it was asked for has had its turn.
_SEND_AGAIN = text(
    """
    WITH looked_at AS (
        SELECT n, status, occurred_at, finished_at FROM webhook_deliveries
        WHERE endpoint_id = :id AND n > :after_n AND n <= :last_n ORDER BY n LIMIT :scan
    ), queued AS (
        UPDATE webhook_deliveries d
        SET status = 'pending', tries = 0, finished_at = NULL, next_attempt_at = :now,
            give_up_at = CAST(:now AS timestamptz) + :give_up_after
        FROM looked_at l
        WHERE d.endpoint_id = :id AND d.n = l.n AND l.occurred_at >= :since
          AND (CAST(:until AS timestamptz) IS NULL OR l.occurred_at < :until)
          AND (l.status = 'pending' OR l.finished_at <= :asked_at)
          AND (NOT :only_failed OR l.status = 'failed')
        RETURNING d.n
    )
    SELECT (SELECT max(n) FROM looked_at) AS reached, (SELECT count(*) FROM looked_at) AS looked_at,
           (SELECT count(*) FROM queued) AS queued
    """
)
_CARRIED_OUT = text(
    """
    UPDATE webhook_redeliveries
    SET after_n = coalesce(:reached, after_n), finished_at = CASE WHEN :is_over THEN billing_now() END
    WHERE id = :wish
    """
)
