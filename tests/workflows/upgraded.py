"""BillWorkflow after a real change, in the steps of an upgrade: before it closes a bill, it has somebody told.

Each is what `workflows/bill.py` would be at that step. docs/operations.md says how one goes from one to the next.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from workflows.bill import UNTIL_IT_WORKS, BillWorkflow
    from workflows.messages import BillFigures, BillLife

PATCH = "announce-before-closing"


@activity.defn
def announce(bill_id: str) -> None:
    """What the change adds."""


class _Announcing(BillWorkflow):
    async def _announce(self) -> None:
        await workflow.execute_activity(
            "announce",
            self._figures.bill_id,
            start_to_close_timeout=timedelta(seconds=15),
            retry_policy=UNTIL_IT_WORKS,
        )


@workflow.defn(name="BillWorkflow")
class Unguarded(_Announcing):
    """The change as it is written down first: a run that closed before it is replayed differently."""

    @workflow.run
    async def run(self, life: BillLife) -> BillFigures:
        return await super().run(life)

    async def _close(self) -> None:
        await self._announce()
        await super()._close()


@workflow.defn(name="BillWorkflow")
class Patched(_Announcing):
    """The first deployment: runs that closed without it are replayed without it."""

    @workflow.run
    async def run(self, life: BillLife) -> BillFigures:
        return await super().run(life)

    async def _close(self) -> None:
        if workflow.patched(PATCH):
            await self._announce()
        await super()._close()


@workflow.defn(name="BillWorkflow")
class Deprecated(_Announcing):
    """The second, once no run is left that closed without it."""

    @workflow.run
    async def run(self, life: BillLife) -> BillFigures:
        return await super().run(life)

    async def _close(self) -> None:
        workflow.deprecate_patch(PATCH)
        await self._announce()
        await super()._close()
