"""Bills that end in the same second, twenty items each, while others are added to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from bench.support import lives, month, timers
from bench.support.figures import Figure, Plan, at_most, no_less_than, no_more_than
from bench.support.last_moment import LastMoment
from bench.support.load import Sample
from bench.support.meanwhile import Adding
from bench.support.measures import p99
from bench.support.month import Month
from bench.support.said import say
from bench.support.stack import Stack

TITLE = "5: Month end"

WITHIN = at_most(10)
UNDISTURBED = at_most(3)
NONE = no_more_than(0)
FINISHED_WITHIN_S, WITHIN_MINUTES, WHY = no_more_than(300), no_more_than(600), "docs/decisions/0016"

LAST_MOMENT_BILLS = 40
QUIET_S = 8.0
CLOSED_WITHIN_S, TIMERS_WITHIN_S, GIVEN_UP_S = 120.0, 240.0, 900.0
FOUND_OUT_WITH = 100
BREATH_S = 5.0
# What a slow machine sets of timers.
TIMERS_SET_PER_S = 15


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    sizes = (100, 300) if plan.quick else (1_000, 10_000)
    found = _last_moment(stack, plan)
    found += [_beside_timers(stack, plan, sizes[0])]
    found += _beside_sql(stack, sizes[0], aim=False)
    found += _whole(stack, plan, sizes[1])
    return found


def _last_moment(stack: Stack, plan: Plan) -> list[Figure]:
    """Clients that go on adding to bills through their end."""
    ending = month.ending_in(4, "last-moment", LAST_MOMENT_BILLS)
    clients = LastMoment(stack, month.load(stack.database, ending))
    clients.add_until(time.monotonic() + ending.until_end_s + 1.5)
    month.closed_after_s(stack.database, ending, CLOSED_WITHIN_S)
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
    ours = month.ending_in(4 + bills / 500, "beside-timers", bills)
    month.load(stack.database, ours)
    our_lag_s = month.closed_after_s(stack.database, ours, CLOSED_WITHIN_S)
    assert stack.plain
    theirs = month.ending_in(10 + bills / TIMERS_SET_PER_S, "timers", bills)
    timers.start(stack, month.load(stack.plain, theirs), theirs.end)
    if theirs.until_end_s < 0:
        plan.notes.append("the timers were not all set when they were due")
    say(f"{bills:,} timers are set; they are due in {theirs.until_end_s:.0f} s")
    their_lag_s = timers.lag_s(stack, theirs, TIMERS_WITHIN_S)
    stack.children["timers"].stop()
    what = f"{bills:,} bills: lag of the last one closed"
    return Figure(what, our_lag_s, "s", "a Temporal timer each", their_lag_s, aim=at_most(1))


def _beside_sql(stack: Stack, bills: int, *, aim: bool) -> list[Figure]:
    ours = month.ending_in(4 + bills / 500, f"alone-{bills}", bills)
    month.load(stack.database, ours)
    lag_s = month.closed_after_s(stack.database, ours, CLOSED_WITHIN_S)
    return [_lag(ours, lag_s, _one_statement_s(stack, bills), aim=aim)]


def _lag(ours: Month, lag_s: float, sql_s: float, *, aim: bool) -> Figure:
    what = f"{ours.bills:,} bills: lag of the last one closed"
    return Figure(what, lag_s, "s", "one SQL statement", sql_s, aim=WITHIN if aim else None)


def _one_statement_s(stack: Stack, bills: int) -> float:
    theirs = month.ending_in(0, f"statement-{bills}-{time.monotonic_ns()}", bills)
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
    ours = month.ending_in(40 + bills / 400 + 1.3 * bills / _started_per_s(stack), "whole", bills)
    month.load(stack.database, ours)
    ends = _through_the_end(stack, ours)
    with Adding(stack):
        # Under the same load as ours.
        sql_s = _one_statement_s(stack, bills)
    facts = month.facts(stack.database, ours)
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
        Figure(
            f"{bills:,} bills: until all workflows have ended",
            ends.finished_s,
            "s",
            aim=FINISHED_WITHIN_S,
            instead=WITHIN_MINUTES,
            why=WHY,
        ),
        Figure("workflows that still run then", running, "workflows", aim=NONE),
        Figure("bills closed early", facts.early, "bills", aim=NONE),
        Figure("bills without exactly one closing in the log", facts.not_once, "bills", aim=NONE),
        Figure("numbers missing from the series", facts.missing_numbers, "numbers", aim=NONE),
        Figure("adds refused or failed meanwhile", ends.closing.refused + ends.ending.refused, "adds", aim=NONE),
        Figure("bills closed", facts.closed, "bills", aim=no_less_than(bills)),
    ]


def _started_per_s(stack: Stack) -> float:
    """How many workflows this machine starts now, found with some that end in a month."""
    some = month.ending_in(timedelta(days=30).total_seconds(), "found-out", FOUND_OUT_WITH)
    month.load(stack.database, some)
    return some.bills / lives.start(stack.database, stack.environment["TEMPORAL_ADDRESS"], some)


def _through_the_end(stack: Stack, ours: Month) -> _Ends:
    address = stack.environment["TEMPORAL_ADDRESS"]
    started_s = lives.start(stack.database, address, ours)
    say(f"{ours.bills:,} workflows started in {started_s:.0f} s; their end comes in {ours.until_end_s:.0f} s")
    # Before the end comes near: each opens bills of its own.
    quiet, closing, ending = Adding(stack), Adding(stack), Adding(stack)
    if ours.until_end_s < QUIET_S + BREATH_S:
        raise RuntimeError(f"{ours.bills} workflows took {started_s:.0f} s to start: their end has come too early")
    time.sleep(ours.until_end_s - QUIET_S - BREATH_S)
    with quiet:
        time.sleep(QUIET_S)
    with closing:
        lag_s = month.closed_after_s(stack.database, ours, CLOSED_WITHIN_S)
    say(f"closed after {lag_s:.2f} s")
    with ending:
        finished_s = month.finished_after_s(stack.database, ours, GIVEN_UP_S)
    return _Ends(quiet.sample, closing.sample, ending.sample, started_s, lag_s, finished_s)


COUNTS = """
    SELECT b.id::text, count(*)
    FROM bills b JOIN customers c ON c.id = b.customer_id JOIN line_items l ON l.bill_id = b.id
    WHERE c.external_id = %(name)s GROUP BY b.id
"""
