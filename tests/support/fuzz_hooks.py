"""What Schemathesis can't know of right data, for the bills that it follows along the document's links.

A schema can't say that a period ends in the future, which currencies are offered, or where webhooks can be sent to.
Data that is meant to be right gets that much here; data that is meant to be wrong, and all of the other phases, stay
as they were made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis import Case, HookContext

ITEM = {"description": "Fee", "quantity": "6", "unit_price": "0.6", "currency": "GEL"}


def _ahead(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def _period() -> Mapping[str, Any]:
    return {"period_start": _ahead(-1), "period_end": _ahead(30)}


def _line_item() -> Mapping[str, Any]:
    return dict(ITEM)


RIGHT: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "POST /bills": _period,
    "POST /bills/{bill_id}/period": lambda: {"period_end": _ahead(60)},
    "POST /bills/{bill_id}/line-items": _line_item,
    "POST /bills/{bill_id}/line-items/batch": lambda: {"line_items": [_line_item()]},
    "POST /bills/{bill_id}/line-items/{item_id}/reversal": lambda: {"reason": "Entered twice"},
    "POST /customers": lambda: {"id": f"customer-{uuid4()}"},
    # Where nobody listens.
    "POST /webhook-endpoints": lambda: {"url": "http://127.0.0.1:1025/"},
}
# Made up, they name a currency that isn't offered and a cursor of no list.
LEFT_OUT = ("currency", "cursor")


@schemathesis.hook
def before_call(_context: HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    meta, right = case.meta, RIGHT.get(case.operation.label)
    if not meta or meta.phase.name.value != "stateful" or not meta.generation.mode.is_positive:
        return
    for name in LEFT_OUT:
        (case.query or {}).pop(name, None)
    given = {} if right is _line_item else case.body
    if right and isinstance(given, dict):
        case.body = {**given, **right()}
