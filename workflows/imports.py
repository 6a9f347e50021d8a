"""The life of one import: who sees to it that all of its rows are decided. Orchestration only.

Rows, and how far it is, are in PostgreSQL; the workflow has no state but its id. It takes turns with other imports,
some seconds at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

PREFIX = "import-"
LONGEST_HISTORY = 2_000
# A round's own time, and that of the rows that are being decided.
ROUND_TIMEOUT = timedelta(seconds=120)
# A worker that died is noticed by its silence; some rows may wait long for their bill.
SILENCE = timedelta(seconds=20)
UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))


@dataclass
class ImportLife:
    """All that a run begins with."""

    import_id: str
    longest_history: int = LONGEST_HISTORY


@dataclass
class Imported:
    """After a round. `is_over`: every row has its outcome, or the import was cancelled."""

    rows: int = 0
    is_over: bool = False


@workflow.defn(name="ImportWorkflow")
class ImportWorkflow:
    """One per import, `import-<id>`; started by the sweep, and again where somebody ended it too early."""

    @workflow.run
    async def run(self, life: ImportLife) -> None:
        while not await self._round(life.import_id):
            if workflow.info().get_current_history_length() > life.longest_history:
                workflow.continue_as_new(life)

    async def _round(self, import_id: str) -> bool:
        done: Imported = await workflow.execute_activity(
            "import_rows",
            import_id,
            result_type=Imported,
            start_to_close_timeout=ROUND_TIMEOUT,
            heartbeat_timeout=SILENCE,
            retry_policy=UNTIL_IT_WORKS,
        )
        return done.is_over
