"""Two hundred open pages of one bill, half of them staff's, half the customer's, while items arrive ten a second."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from sqlalchemy import insert, text

from bench.support.audience import Adder, Viewer, delays_ms, watched
from bench.support.bills import PlainBills, SystemBills
from bench.support.figures import Figure, Plan, at_most, no_more_than
from bench.support.measures import percentile
from bench.support.nginx import Missing, Nginx
from bench.support.stack import Stack
from bench.support.turns import Asker, Request
from billing.ledger import links
from billing.ledger.engines import create_engine
from billing.origin import by_the_system
from webapp.customer.tokens import token_of
from webapp.identity import user_changes
from webapp.identity.roles import Role
from webapp.identity.tables import SessionRow
from webapp.identity.tokens import new_token, token_hash

TITLE = "8: Live pages: 200 viewers of one bill, 10 items a second"

STAFF, CUSTOMERS, USERS = 100, 100, 5
PER_SECOND = 10
LATEST = at_most(3)
ADDERS_P50 = at_most(1.2)
NONE = no_more_than(0)
_SEEN = re.compile(r'name="seen" value="([^"]*)"')
_SELECTED = re.compile(r"<option selected>([A-Z]{3})<")


@dataclass
class Round:
    """Of one way: milliseconds until the last viewer had each item, and until the adder was answered."""

    last_ms: list[float]
    answer_ms: list[float]
    lost: int = 0
    asked: int = 0
    longest: int = 0


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    ours = System(stack)
    ours.round(plan.seconds(2))
    peer: Peer | None = None
    rounds, quiet, peers = list[Round](), list[Round](), list[Round]()
    for _ in range(plan.rounds(5)):
        quiet.append(ours.round(plan.seconds(6), viewers=False))
        rounds.append(ours.round(plan.seconds(10)))
        if peer is None and not plan.notes:
            peer = _peer(stack, plan, max(one.longest for one in rounds))
        if peer is not None:
            peers.append(peer.round(plan.seconds(10)))
    if peer is not None:
        peer.stop()
    plan.notes += _notes(rounds)
    return [*_latest(rounds, peers), *_kept(rounds), *_adders(rounds, quiet)]


def _peer(stack: Stack, plan: Plan, message_bytes: int) -> Peer | None:
    try:
        return Peer(stack, message_bytes)
    except Missing as error:
        plan.notes.append(f"nginx with nchan was left out: {error}")
        return None


def _latest(ours: Sequence[Round], peers: Sequence[Round]) -> Iterator[Figure]:
    for percent, aim in ((50, LATEST), (95, LATEST)):
        value, base = _percentile(ours, percent), _percentile(peers, percent) if peers else None
        pairs = zip(ours, peers, strict=False)
        ratios = [percentile(sorted(a.last_ms), percent) / percentile(sorted(b.last_ms), percent) for a, b in pairs]
        yield Figure(
            f"stored until the last viewer has it, p{percent}",
            value,
            "ms",
            "nginx with nchan" if peers else "",
            base,
            statistics.median(ratios) if ratios else None,
            aim if peers else None,
        )


def _kept(ours: Sequence[Round]) -> Iterator[Figure]:
    yield Figure("items that some viewer never had", sum(one.lost for one in ours), "", aim=NONE)
    yield Figure("times that a page had to ask", sum(one.asked for one in ours), "")


def _adders(ours: Sequence[Round], quiet: Sequence[Round]) -> Iterator[Figure]:
    with_viewers, without = ([statistics.median(one.answer_ms) for one in rounds] for rounds in (ours, quiet))
    ratio = statistics.median(a / b for a, b in zip(with_viewers, without, strict=True))
    figures = statistics.median(with_viewers), statistics.median(without)
    yield Figure("an add's answer, p50", figures[0], "ms", "without viewers", figures[1], ratio, ADDERS_P50)


def _notes(ours: Sequence[Round]) -> list[str]:
    longest = max(one.longest for one in ours)
    return [
        f"{STAFF} pages through sessions of {USERS} users, {CUSTOMERS} through one customer link",
        f"an event has at most {longest:,} bytes, and nchan's messages about as many",
        "time counts from the item's created_at, which the database sets before it commits, to the event that has it",
    ]


def _percentile(rounds: Sequence[Round], percent: float) -> float:
    return percentile(sorted(one for round_ in rounds for one in round_.last_ms), percent)


class System:
    """Every round on a bill of its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._bills = SystemBills(stack)
        self._engine = create_engine(stack.urls["system"])
        self._cookies = [cookie for n in range(USERS) for cookie in self._signed_in(n, STAFF // USERS)]

    def round(self, seconds: float, *, viewers: bool = True) -> Round:
        (bill,) = self._bills.opened(1)
        self._bills.filled([bill], 30)
        ask = self._bills.adding([[bill]])
        adder = Adder(self._stack.ports["system"], partial(ask, 0))
        watching = self._opened(bill) if viewers else []
        try:
            added = watched(adder, watching, per_second=PER_SECOND, seconds=seconds)
        finally:
            for one in (adder, *watching):
                one.socket.close()
        if added.refused:
            raise RuntimeError(f"{added.refused} adds were refused:\n{self._stack.log('system')[-3000:]}")
        stored = self._stack.database.execute(
            "SELECT added_in_version, extract(epoch FROM created_at)::float8 FROM line_items"
            " WHERE bill_id = %s ORDER BY position OFFSET 30",
            [bill],
        ).fetchall()
        last_ms, lost = delays_ms(watching, stored) if viewers else ([], 0)
        asked = sum(one.asked for one in watching)
        return Round(last_ms, added.answer_ms, lost, asked, max((one.longest for one in watching), default=0))

    def _opened(self, bill: str) -> list[Viewer]:
        """As browsers do it: the page, then its stream."""
        port = self._stack.ports["system"]
        link, _ = links.create(self._engine, by_the_system("bench"), UUID(bill))
        token = token_of(self._stack.environment["SECRET_KEY"], link.id)
        pages = [(f"/bills/{bill}", f"Cookie: {cookie}\r\n", "") for cookie in self._cookies]
        pages += [(f"/b/{token}", "", "&after=0")] * CUSTOMERS
        viewers = []
        with Asker() as asker:
            for path, headers, more in pages:
                known = dict(line.split(": ", 1) for line in headers.splitlines())
                page = asker.answer(port, Request(path, known)).text
                seen, currency = _SEEN.search(page), _SELECTED.search(page)
                assert seen
                assert currency
                asked = f"{path}/stream?currency={currency[1]}{more}"
                request = f"GET {asked} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n"
                viewers.append(Viewer(port, request.encode(), seen[1]))
        for viewer in viewers:
            viewer.wait_until_answered()
        return viewers

    def _signed_in(self, number: int, browsers: int) -> Iterator[str]:
        """Cookies of new sessions: signing in by the page, a hundred times, would take longer than all the rest."""
        user = user_changes.create(
            self._engine, email=f"viewer-{number}@example.com", password="correct horse battery", role=Role.VIEWER
        )
        app = Flask(__name__)
        app.secret_key = self._stack.environment["SECRET_KEY"]
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        assert serializer is not None
        for _ in range(browsers):
            token = new_token()
            with self._engine.begin() as connection:
                hour = text("now() + interval '1 hour'")
                connection.execute(
                    insert(SessionRow).values(token_hash=token_hash(token), user_id=user, expires_at=hour)
                )
            yield f"session={serializer.dumps({'token': token})}"


class Peer:
    """The floor, that publishes to nchan what it committed. Raises Missing."""

    def __init__(self, stack: Stack, message_bytes: int) -> None:
        self._stack = stack
        self._nginx = Nginx(stack.directory)
        self._bills = PlainBills(stack)
        self._nginx.start()
        more = {
            "DATABASE_URL": stack.urls["plain"],
            "NGINX_PORT": str(self._nginx.port),
            "MESSAGE_BYTES": str(message_bytes),
        }
        self._port = stack.web("fanout", "bench.support.fanout:create_app()", environment=more)

    def round(self, seconds: float) -> Round:
        (bill,) = self._bills.opened(1)
        request = f"GET /watch/{bill} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
        watching = [Viewer(self._nginx.port, request) for _ in range(STAFF + CUSTOMERS)]
        for viewer in watching:
            viewer.wait_until_answered()
        adder = Adder(self._port, partial(self._bills.adding([[bill]]), 0))
        try:
            added = watched(adder, watching, per_second=PER_SECOND, seconds=seconds)
        finally:
            for one in (adder, *watching):
                one.socket.close()
        stored = self._stack.plain.execute(
            "SELECT position, extract(epoch FROM created_at)::float8 FROM line_items WHERE bill_id = %s ORDER BY 1",
            [bill],
        ).fetchall()
        last_ms, lost = delays_ms(watching, stored)
        return Round(last_ms, added.answer_ms, lost)

    def stop(self) -> None:
        self._nginx.stop()
