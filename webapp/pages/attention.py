"""What needs somebody: what the system as a whole lacks, and what was found to differ, each with its repair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue

from billing.bill import Bill
from billing.identifiers import parse_id
from billing.ledger import closing, findings, reads
from billing.ledger.findings import Finding, FindingNotFound
from webapp import logs
from webapp.attention import Concern
from webapp.identity.access import allow
from webapp.identity.caller import origin
from webapp.identity.roles import Role
from webapp.pages.blueprint import pages
from webapp.pages.forms import Form
from webapp.pages.rendering import page_or_dialog, render, see_other
from webapp.system import System, system
from workflows.explanations import EXPLANATIONS, Explanation
from workflows.repairing import repair_bill
from workflows.telling import WorkflowsUnavailable

FOUND_SHOWN = 50
RESOLVED_SHOWN = 10
CLOSED_AT_ONCE = 500
REPAIR_WAIT_S = 15.0
GONE = "That difference is gone already; nothing was done."
NO_TEMPORAL = "Temporal is out of reach, so nothing could be done. Try again once it answers."
REPAIRED = "Repaired: what is stored and what the workflow knows agree."
UNDER_WAY = "The repair is under way. The difference goes from this list when it is no more."


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """`bill` is None where it isn't in the ledger, or where the finding is about all of it."""

    finding: Finding
    explanation: Explanation
    bill: Bill | None

    @property
    def is_repairable(self) -> bool:
        return bool(self.explanation.repair) and self.finding.resolved_at is None


@dataclass(frozen=True, slots=True)
class ShownAttention:
    """`next`: after which finding to go on, if there are more."""

    concerns: Sequence[Concern]
    count: int
    found: Sequence[ShownFinding]
    resolved: Sequence[ShownFinding]
    next: UUID | None
    is_continued: bool


@pages.get("/attention")
@allow(Role.VIEWER)
def show_attention() -> ResponseReturnValue:
    return render("attention/show.html", shown=_shown(system(), _after(request.args)), form=Form())


def _after(arguments: Mapping[str, str]) -> UUID | None:
    """Whoever follows a mangled link sees the first page."""
    try:
        return parse_id(arguments["after"], FindingNotFound) if "after" in arguments else None
    except FindingNotFound:
        return None


def _shown(system: System, after: UUID | None) -> ShownAttention:
    attention = system.attention.renewed()
    found = findings.still_open(system.engine, after=after, limit=FOUND_SHOWN + 1)
    page = found[:FOUND_SHOWN]
    resolved = findings.resolved(system.engine, limit=RESOLVED_SHOWN) if after is None else []
    bills = reads.those_of(system.engine, [finding.bill_id for finding in (*page, *resolved) if finding.bill_id])
    return ShownAttention(
        [concern for concern in attention.concerns if concern.name != "findings"] if after is None else [],
        attention.findings,
        [_shown_finding(finding, bills) for finding in page],
        [_shown_finding(finding, bills) for finding in resolved],
        page[-1].id if len(found) > FOUND_SHOWN else None,
        after is not None,
    )


def _shown_finding(finding: Finding, bills: Mapping[UUID, Bill]) -> ShownFinding:
    return ShownFinding(finding, EXPLANATIONS[finding.kind], bills.get(finding.bill_id) if finding.bill_id else None)


@pages.get("/attention/findings/<finding_id>/repair")
@allow(Role.ADMIN)
def new_repair(finding_id: str) -> ResponseReturnValue:
    finding = _finding(finding_id)
    bills = reads.those_of(system().engine, [finding.bill_id] if finding.bill_id else [])
    shown = _shown_finding(finding, bills)
    if not shown.is_repairable:
        flash(GONE)
        return see_other(url_for("pages.show_attention"))
    return page_or_dialog("attention/repair.html", shown=shown, form=Form())


@pages.post("/attention/findings/<finding_id>/repair")
@allow(Role.ADMIN)
def repair_finding(finding_id: str) -> ResponseReturnValue:
    """Sent again, it finds nothing to do."""
    form, finding = Form.submitted(), _finding(finding_id)
    flash(_repaired(system(), finding, form))
    return see_other(url_for("pages.show_attention"))


def _repaired(system: System, finding: Finding, form: Form) -> str:
    """A sentence about what came of it."""
    if finding.resolved_at is not None or finding.bill_id is None or not EXPLANATIONS[finding.kind].repair:
        return GONE
    actor = origin(form.key).actor
    findings.repair_asked(system.engine, finding.id, actor)
    queue = system.config.settings.temporal_task_queue
    work = partial(repair_bill, engine=system.engine, task_queue=queue, bill_id=finding.bill_id, by=actor.name)
    try:
        return REPAIRED if system.workflows.carry_out(finding.bill_id, work, REPAIR_WAIT_S) else UNDER_WAY
    except WorkflowsUnavailable:
        return NO_TEMPORAL


@pages.post("/attention/due-closures")
@allow(Role.ADMIN)
def close_what_is_due() -> ResponseReturnValue:
    """As the sweep does: what is due by the database's clock, and what was wished. Sent again, it finds less to do."""
    form, settings = Form.submitted(), system().config.settings
    closed = closing.close_due(system().engine, origin(form.key), limit=CLOSED_AT_ONCE, samples=settings.sample_rates)
    count = f"{len(closed):,} {'bill is' if len(closed) == 1 else 'bills are'}"
    flash(f"{count} closed." if closed else "Nothing is due any more.")
    return see_other(url_for("pages.show_attention"))


def _finding(finding_id: str) -> Finding:
    finding = findings.by_id(system().engine, parse_id(finding_id, FindingNotFound))
    if finding.bill_id is not None:
        logs.about(finding.bill_id)
    return finding
