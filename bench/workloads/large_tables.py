"""The same reads of a million bills and of a thousand; what they take of the tables; Django's admin beside them."""

from __future__ import annotations

from bench.peers.django_admin.served import DjangoAdmin
from bench.support import many_bills
from bench.support.figures import Figure, Plan, at_most
from bench.support.freshness import oldest_sums_s
from bench.support.large_reads import Reads
from bench.support.many_bills import Loaded
from bench.support.said import say
from bench.support.scans import Scans
from bench.support.stack import SYSTEM, Stack
from bench.support.turns import Asked, Latencies, Request, in_turns

TITLE = "6: Reads with a million bills"

BILLS, QUICK_BILLS, FEW_BILLS = 1_000_000, 10_000, 1_000
ROUNDS, EACH, QUICK_EACH = 4, 40, 8
OF_THE_SMALL = at_most(1.5)
OF_A_PING = at_most(8)
# Where its milliseconds go is listed there, part by part.
OF_A_PING_INSTEAD, WHY = at_most(12), "docs/decisions/0021"
LIST_PAGE = "page: list"
DJANGO_EACH = 5
BESIDE_DJANGO = {"list": LIST_PAGE, "search": "page: search for a frequent word", "open bills": "page: open bills"}


def measure(stack: Stack, plan: Plan) -> list[Figure]:
    bills = QUICK_BILLS if plan.quick else BILLS
    loaded = _load(stack, plan, bills)
    reads = {"large": Reads(stack, "system", stack.urls["system"]), "small": Reads(stack, "few", stack.urls["few"])}
    ways = _ways(reads, stack.web("ping", "bench.support.ping:create_app()"))
    scans = Scans(stack.database)
    latencies = in_turns(ways, rounds=plan.rounds(ROUNDS), each=QUICK_EACH if plan.quick else EACH)
    return [
        *_beside_small(latencies, loaded),
        _beside_ping(latencies),
        *scans.figures(requests=sum(map(len, latencies.of("large "))), plan=plan),
        # Apart from the others: its lists scan whole tables, which isn't to be counted as ours.
        *_beside_django(DjangoAdmin(stack, plan), reads["large"], plan),
        oldest_sums_s(stack, reads["large"].staff, plan),
    ]


def _load(stack: Stack, plan: Plan, bills: int) -> Loaded:
    url = stack.new_database("few")
    few = stack.connect(url)
    stack.web("few", *SYSTEM[:1], "/readyz", {"DATABASE_URL": url})
    many_bills.load(few, FEW_BILLS)
    say(f"loading {bills:,} bills")
    loaded = many_bills.load(stack.database, bills)
    plan.notes.append(
        f"{loaded.bills:,} bills with {loaded.items:,} items and {loaded.events:,} events were loaded in"
        f" {loaded.took_s:.0f} s; the small database has {FEW_BILLS:,} bills"
    )
    return loaded


def _ways(reads: dict[str, Reads], ping: int) -> dict[str, Asked]:
    """Each read of the large and of the small database follows the other."""
    found = {"ping": Asked(ping, lambda: Request("/healthz", {}))}
    for name in reads["large"].ways:
        for size, of in reads.items():
            found[f"{size} {name}"] = of.ways[name]
    return found


def _beside_small(latencies: Latencies, loaded: Loaded) -> list[Figure]:
    names = [name.removeprefix("large ") for name in latencies.rounds if name.startswith("large ")]
    return [
        Figure(
            f"{name}: p95 of {loaded.bills:,} bills",
            latencies.p95(f"large {name}"),
            "ms",
            f"{FEW_BILLS:,} bills",
            latencies.p95(f"small {name}"),
            aim=OF_THE_SMALL,
        )
        for name in names
    ]


def _beside_ping(latencies: Latencies) -> Figure:
    large = f"large {LIST_PAGE}"
    return Figure(
        f"{LIST_PAGE}, 50 rows: p50",
        latencies.p50(large),
        "ms",
        "Flask ping",
        latencies.p50("ping"),
        latencies.ratio(large, "ping"),
        OF_A_PING,
        OF_A_PING_INSTEAD,
        WHY,
    )


def _beside_django(admin: DjangoAdmin, reads: Reads, plan: Plan) -> list[Figure]:
    if not admin.ways():
        return []
    ways = {**admin.ways(), **{name: reads.ways[name] for name in BESIDE_DJANGO.values()}}
    return admin.figures(in_turns(ways, rounds=plan.rounds(ROUNDS), each=DJANGO_EACH), BESIDE_DJANGO)
