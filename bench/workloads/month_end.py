"""Bills that end in the same second, twenty items each, while others are added to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.support import lives, month, timers
from bench.support.figures import Figure, Plan, at_most, no_less_than, no_more_than
from bench.support.last_moment import LastMoment
from bench.support.load import Sample
from bench.support.meanwhile import Adding
from bench.support.measures import p99
from bench.support.month import Month
from bench.support.stack import Stack

TITLE = "5: Month end"

WITHIN = at_most(10)
UNDISTURBED = at_most(3)
NONE = no_more_than(0)
FINISHED_WITHIN_S = no_more_than(300)

# More timers than these alone take minutes.
TIMERS = 1_000
LAST_MOMENT_BILLS = 40
QUIET_S = 8.0
CLOSED_WITHIN_S, TIMERS_WITHIN_S, GIVEN_UP_S = 120.0, 240.0, 900.0
FOUND_OUT_WITH = 150
BREATH_S = 5.0
# What a slow machine sets of timers.
TIMERS_SET_PER_S = 15


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    sizes = (200, 500) if plan.quick else (1_000, 10_000)
    found = _last_moment(stack, plan)
    found += [_beside_timers(stack, plan, sizes[0])]
    found += _beside_sql(stack, sizes[0], aim=False)
    found += _whole(stack, plan, sizes[1])
    return found


def _last_moment(stack: Stack, plan: Plan) -> list[Figure]:
    """Clients that go on adding to bills through their end."""
    ending = Month("last-moment", LAST_MOMENT_BILLS, _in(4))
    clients = LastMoment(stack, month.load(stack.database, ending))
    clients.add_until(time.monotonic() + _until(ending) + 1.5)
    _closed(stack.database, ending)
    late = sum(instant >= ending.end for instants in clients.accepted.values() for instant in instants)
    counts = dict(stack.database.execute(COUNTS, {"name": ending.name}).fetchall())
    wrong = [bill for bill, accepted in clients.accepted.items() if counts[bill] != month.ITEMS_A_BILL + len(accepted)]
    accepted = sum(map(len, clients.accepted.values()))
    plan.notes.append(
        f"through the end of {LAST_MOMENT_BILLS} bills {accepted:,} items were accepted and {clients.too_late:,} "
        f"refused as too late; other answers: {dict(clients.other) or 'none'}"
    )
    return [
        Figure("items accepted after the end of their bill", late, "items", aim=NONE),
        Figure("bills whose total lacks an accepted item, or has one more", len(wrong), "bills", aim=NONE),
        Figure("answers that were neither accepted nor too late", clients.other.total(), "answers", aim=NONE),
    ]


def _beside_timers(stack: Stack, plan: Plan, bills: int) -> Figure:
    """The same number, closed by the system and then each by a timer of its own, nothing else going on."""
    ours = Month("beside-timers", bills, _in(4 + bills / 500))
    month.load(stack.database, ours)
    our_lag_s = _closed(stack.database, ours)
    assert stack.plain
    theirs = Month("timers", bills, _in(10 + bills / TIMERS_SET_PER_S))
    timers.start(stack, month.load(stack.plain, theirs), theirs.end)
    if _until(theirs) < 0:
        plan.notes.append("the timers were not all set when they were due")
    their_lag_s = timers.lag_s(stack, theirs, TIMERS_WITHIN_S)
    stack.children["timers"].stop()
    what = f"{bills:,} bills: lag of the last one closed"
    return Figure(what, our_lag_s, "s", "a Temporal timer each", their_lag_s, aim=at_most(1))


def _beside_sql(stack: Stack, bills: int, *, aim: bool) -> list[Figure]:
    ours = Month(f"alone-{bills}", bills, _in(4 + bills / 500))
    month.load(stack.database, ours)
    lag_s = _closed(stack.database, ours)
    return [_lag(ours, lag_s, _one_statement_s(stack, bills), aim=aim)]


def _lag(ours: Month, lag_s: float, sql_s: float, *, aim: bool) -> Figure:
    what = f"{ours.bills:,} bills: lag of the last one closed"
    return Figure(what, lag_s, "s", "one SQL statement", sql_s, aim=WITHIN if aim else None)


def _one_statement_s(stack: Stack, bills: int) -> float:
    theirs = Month(f"statement-{bills}-{time.monotonic_ns()}", bills, _in(0))
    month.load(stack.plain, theirs)
    began = time.monotonic()
    stack.plain.execute(month.CLOSE_ALL, {"name": theirs.name})
    return time.monotonic() - began


@dataclass
class _Ends:
    """The month's end with everything: workflows that wait for it, and a client that adds to other bills."""

    quiet: Sample
    closing: Sample
    ending: Sample
    started_s: float
    lag_s: float
    finished_s: float


def _whole(stack: Stack, plan: Plan, bills: int) -> list[Figure]:
    # A third more than it should take to load them and start their workflows.
    ours = Month("whole", bills, _in(20 + bills / 400 + 1.3 * bills / _started_per_s(stack)))
    month.load(stack.database, ours)
    ends = _through_the_end(stack, ours)
    with Adding(stack):
        # Under the same load as ours.
        sql_s = _one_statement_s(stack, bills)
    facts = _facts(stack.database, ours)
    plan.notes.append(
        f"{bills:,} workflows were started in {ends.started_s:.0f} s; the adder's p99 in ms: quiet "
        f"{p99(ends.quiet):.1f}, while bills closed {p99(ends.closing):.1f}, while workflows ended "
        f"{p99(ends.ending):.1f}; its items a second: {ends.quiet.per_second:.0f}, {ends.closing.per_second:.0f}, "
        f"{ends.ending.per_second:.0f}"
    )
    running = lives.running(stack.environment["TEMPORAL_ADDRESS"], ours.end)
    beside = f"{bills:,} bills: p99 of adds to others"
    return [
        _lag(ours, ends.lag_s, sql_s, aim=True),
        Figure(f"{beside}, while they close", p99(ends.closing), "ms", "quiet", p99(ends.quiet), aim=UNDISTURBED),
        Figure(f"{beside}, while workflows end", p99(ends.ending), "ms", "quiet", p99(ends.quiet), aim=UNDISTURBED),
        Figure(f"{bills:,} bills: until all workflows have ended", ends.finished_s, "s", aim=FINISHED_WITHIN_S),
        Figure("workflows that still run then", running, "workflows", aim=NONE),
        Figure("bills closed early", facts["early"], "bills", aim=NONE),
        Figure("bills without exactly one closing in the log", facts["not_once"], "bills", aim=NONE),
        Figure("numbers missing from the series", facts["gaps"], "numbers", aim=NONE),
        Figure("adds refused or failed meanwhile", ends.closing.refused + ends.ending.refused, "adds", aim=NONE),
        Figure("bills closed", facts["closed"], "bills", aim=no_less_than(bills)),
    ]


def _started_per_s(stack: Stack) -> float:
    """How many workflows this machine starts now, found with some that end in a month."""
    some = Month("found-out", FOUND_OUT_WITH, _in(timedelta(days=30).total_seconds()))
    month.load(stack.database, some)
    return some.bills / lives.start(stack.database, stack.environment["TEMPORAL_ADDRESS"], some)


def _through_the_end(stack: Stack, ours: Month) -> _Ends:
    address = stack.environment["TEMPORAL_ADDRESS"]
    started_s = lives.start(stack.database, address, ours)
    if _until(ours) < QUIET_S + BREATH_S:
        raise RuntimeError(f"{ours.bills} workflows took {started_s:.0f} s to start: their end has come too early")
    time.sleep(_until(ours) - QUIET_S - BREATH_S)
    with Adding(stack) as quiet:
        time.sleep(QUIET_S)
    with Adding(stack) as closing:
        lag_s = _closed(stack.database, ours)
    with Adding(stack) as ending:
        finished_s = _finished(stack.database, ours)
    return _Ends(quiet.sample, closing.sample, ending.sample, started_s, lag_s, finished_s)


def _closed(database: psycopg.Connection, ours: Month) -> float:
    """Returns once all are closed; how long after their end that was."""
    return _when(database, ours, "b.status = 'closed'", CLOSED_WITHIN_S)


def _finished(database: psycopg.Connection, ours: Month) -> float:
    return _when(database, ours, "w.finished_at IS NOT NULL", GIVEN_UP_S)


def _when(database: psycopg.Connection, ours: Month, what: str, within_s: float) -> float:
    query = LEFT.replace("WHAT", what).encode()
    time.sleep(max(_until(ours), 0.0))
    while True:
        row = database.execute(query, {"name": ours.name, "end": ours.end}).fetchone()
        assert row
        lag_s, left = float(row[0]), row[1]
        if not left:
            return lag_s
        if lag_s > within_s:
            raise RuntimeError(f"{left} of {ours.bills} are not so after {within_s} s: {what}")
        # So that looking is a small part of what goes on.
        time.sleep(min(0.02 + lag_s / 50, 1.0))


def _facts(database: psycopg.Connection, ours: Month) -> dict[str, Any]:
    row = database.execute(FACTS, {"name": ours.name}).fetchone()
    assert row
    return dict(zip(("closed", "early", "not_once", "gaps"), row, strict=True))


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _until(ending: Month) -> float:
    return (ending.end - datetime.now(UTC)).total_seconds()


COUNTS = """
    SELECT b.id::text, count(*)
    FROM bills b JOIN customers c ON c.id = b.customer_id JOIN line_items l ON l.bill_id = b.id
    WHERE c.external_id = %(name)s GROUP BY b.id
"""
LEFT = """
    SELECT extract(epoch FROM billing_now() - %(end)s), count(*) FILTER (WHERE NOT (WHAT))
    FROM bills b JOIN customers c ON c.id = b.customer_id JOIN bill_workflows w ON w.bill_id = b.id
    WHERE c.external_id = %(name)s
"""
FACTS = """
    SELECT count(*) FILTER (WHERE b.status = 'closed'),
           count(*) FILTER (WHERE b.closed_at < b.period_end OR b.effective_at <> b.period_end),
           count(*) FILTER (WHERE (SELECT count(*) FROM events e
                                   WHERE e.subject_id = b.id AND e.type = 'bill.closed') <> 1),
           max(b.number) - min(b.number) + 1 - count(DISTINCT b.number)
    FROM bills b JOIN customers c ON c.id = b.customer_id WHERE c.external_id = %(name)s
"""
