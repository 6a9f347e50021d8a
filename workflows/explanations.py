"""What each kind of difference means, and what repairing it does: the same words in `pave reconcile` and on pages."""

from __future__ import annotations

from dataclasses import dataclass

from billing.ledger.consistency import Kind


@dataclass(frozen=True, slots=True)
class Explanation:
    """`repair` says what it does; empty where there is none. `is_destructive`: something that is known goes with it."""

    title: str
    meaning: str
    repair: str = ""
    is_destructive: bool = False


_ROWS = (
    "Rows of this bill contradict each other, which no way of changing them leads to: the disk, a restore of some"
    " tables alone, or a hand in the database. Nothing is rewritten by itself; compare with a backup."
)
_TOLD = "Tells the workflow how the bill stands, and starts it if it doesn't run."
_ALIGNED = (
    "Begins a new epoch of the ledger, which outranks what the workflow has heard; what it had heard is kept in the"
    " list of losses, and bill numbers that it knows are not given again."
)
_ANEW = (
    "Ends the workflow and starts it anew with what is stored. The ledger decides what is on a bill, so nothing of the"
    " bill is lost."
)

EXPLANATIONS = {
    Kind.SUMS: Explanation("Items don't add up to the subtotal", _ROWS),
    Kind.COUNTS: Explanation("Items don't add up to the count", _ROWS),
    Kind.EVENTS: Explanation("Events don't add up to the version", _ROWS),
    Kind.PAYABLES: Explanation("A payable isn't the rounded subtotal", _ROWS),
    Kind.RECORDS: Explanation(
        "The record of what its workflow heard can't be right",
        "It speaks of more than is stored, which no way of changing it leads to: a hand was in the database.",
    ),
    Kind.REFERENCES: Explanation(
        "References and items don't fit together",
        "What an integrator sends again would be charged again, or not at all: a hand was in the database, or some"
        " tables alone were restored. pave reconcile --repair takes the references of items that are on the bill;"
        " which item is right where two have one, or none, no program can say.",
    ),
    Kind.NUMBERS: Explanation(
        "Bill numbers have a gap",
        "Numbers that were given and numbers that bills have don't agree. If the ledger was restored from before,"
        " workflows may know of numbers that are on customers' bills: pave reconcile --all --repair sets them aside."
        " Numbers are never given twice, and never set back.",
    ),
    Kind.LOG: Explanation(
        "The event log is another server's",
        "It came in a dump: live pages and sums don't follow what happens now, or not all of it, and it isn't sealed."
        " pave reconcile --repair puts it in order.",
    ),
    Kind.NO_WORKFLOW: Explanation(
        "The bill has no workflow",
        "Temporal was emptied or restored from before, or was out of reach when the bill was opened.",
        _TOLD,
    ),
    Kind.BEHIND: Explanation(
        "The workflow is behind", "It has not heard of what is stored; the worker goes on telling it.", _TOLD
    ),
    Kind.UNFINISHED: Explanation(
        "The workflow has not finished", "Its bill is closed, and it has not heard so.", _TOLD
    ),
    Kind.ENDED: Explanation(
        "The workflow has ended before its bill", "Somebody ended it, or it failed. The bill closes without it.", _TOLD
    ),
    Kind.SILENT: Explanation(
        "The workflow doesn't answer",
        "No worker serves it, or they are busy; if it stays so while others answer, it can be started anew.",
        _ANEW,
        is_destructive=True,
    ),
    Kind.WEDGED: Explanation(
        "The workflow is stuck",
        "What it was given can't be read, or its history doesn't fit its code. The bill takes items and closes without"
        " it; all other workflows go on.",
        _ANEW,
        is_destructive=True,
    ),
    Kind.FAILING: Explanation(
        "An activity of the workflow keeps failing",
        "It is tried again every ten seconds and goes on by itself once the cause is gone.",
        _ANEW,
        is_destructive=True,
    ),
    Kind.AHEAD: Explanation(
        "The workflow knows more than is stored",
        "The ledger was restored from before: what was acknowledged afterwards is missing in it.",
        _ALIGNED,
        is_destructive=True,
    ),
    Kind.CONTRADICTS: Explanation(
        "The workflow says something else of the same version",
        "The ledger was restored from before and went on differently, or a hand was in the database.",
        _ALIGNED,
        is_destructive=True,
    ),
    Kind.NO_BILL: Explanation(
        "A workflow has no bill",
        "Its bill was opened after the backup that the ledger was restored from.",
        "Keeps what it knows in the list of losses, and ends it.",
        is_destructive=True,
    ),
    Kind.TEMPORAL: Explanation("Temporal is out of reach", "Rows were compared with each other alone."),
}
