"""What reads take of the large tables, by PostgreSQL's own counters: whole scans, and rows."""

from __future__ import annotations

import time

import psycopg

from bench.support.figures import Figure, Plan, no_more_than

TABLES = ("bills", "line_items", "bill_subtotals", "events", "customers", "bill_workflows", "open_subtotals")
# A process tells its counters when it has been idle for so long.
TOLD_AFTER_S = 11
COUNTED = """
    SELECT relname, coalesce(seq_scan, 0), coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
    FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""


class Scans:
    """Of a database, since this was made."""

    def __init__(self, database: psycopg.Connection) -> None:
        self._database = database
        time.sleep(TOLD_AFTER_S)
        self._before = self._counted()

    def figures(self, *, requests: int, plan: Plan) -> list[Figure]:
        """Whoever else asks meanwhile, the worker, is counted too."""
        time.sleep(TOLD_AFTER_S)
        now = self._counted()
        scans = {table: now[table][0] - self._before[table][0] for table in now}
        rows = {table: now[table][1] - self._before[table][1] for table in now}
        plan.notes.append(
            f"rows fetched from the large tables per read, what the worker's sweeps fetched included: "
            f"{sum(rows.values()) / requests:.0f}"
            f" ({', '.join(f'{table} {count / requests:.1f}' for table, count in rows.items())})"
        )
        found = ", ".join(f"{table} {count}" for table, count in scans.items() if count)
        what = "whole scans of tables of that size during all reads" + (f" ({found})" if found else "")
        return [Figure(what, sum(scans.values()), "", aim=no_more_than(0))]

    def _counted(self) -> dict[str, tuple[int, int]]:
        self._database.execute("SELECT pg_stat_clear_snapshot()")
        rows = self._database.execute(COUNTED, [list(TABLES)])
        return {table: (scans, fetched) for table, scans, fetched in rows}
