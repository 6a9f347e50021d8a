"""What a bill's workflow says of itself, beside what is stored. The bill's page never waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from billing.bill import Bill
from webapp import queries
from webapp.identity.access import allow, asked_by_itself
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.ids import parse_bill_id
from webapp.pages.rendering import render, wants_fragment
from webapp.system import System, system
from workflows.messages import WorkflowState, figures_of
from workflows.telling import WorkflowsUnavailable


@dataclass(frozen=True, slots=True)
class ShownWorkflow:
    """`standing` is in_step, behind, differs, unknown (to Temporal) or unavailable."""

    bill: Bill
    standing: str
    state: WorkflowState | None


@pages.get("/bills/<bill_id>/workflow")
@allow(Role.VIEWER)
@asked_by_itself
def show_workflow(bill_id: str) -> ResponseReturnValue:
    bill = queries.bill(system(), parse_bill_id(bill_id))
    template = "workflows/_workflow.html" if wants_fragment() else "workflows/show.html"
    return render(template, workflow=_shown_workflow(system(), bill))


def _shown_workflow(system: System, bill: Bill) -> ShownWorkflow:
    try:
        state = queries.workflow_state(system, bill.id)
    except WorkflowsUnavailable as unavailable:
        standing = "unavailable" if unavailable.server_failed else "unknown"
        return ShownWorkflow(bill, standing, None)
    return ShownWorkflow(bill, _standing(bill, state), state)


def _standing(bill: Bill, state: WorkflowState) -> str:
    """The workflow may be ahead of what was read a moment before it was asked."""
    if state.figures.version != bill.version:
        return "behind" if state.figures.version < bill.version else "in_step"
    stored = figures_of(bill)
    agrees = (state.figures.status, state.figures.totals) == (stored.status, stored.totals)
    return "in_step" if agrees else "differs"
