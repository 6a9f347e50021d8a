"""Every event that the code can write is declared: public, field by field, or private."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from billing.ledger.events import Event, LogPosition
from billing.ledger.public_events import PRIVATE, PUBLIC, projected
from billing.ledger.tables.log import EventRow
from billing.origin import Actor, ActorKind
from tests.conftest import PROJECT

SUBJECTS = ("bill", "line_item", "line_items", "currencies", "customer", "rates", "seller", "link", "user", "api_key")
# Files, columns and endpoints that read like types.
NO_TYPES = re.compile(r".+\.(css|js|json|typ|id|bill_id|show_bill)")
WRITERS = {"append", "write", "_tell"}


def sources() -> Iterator[Path]:
    for folder in ("billing", "workflows", "webapp", "migrations"):
        yield from (PROJECT / folder).rglob("*.py")
        yield from (PROJECT / folder).rglob("*.sql")


def types_named() -> set[str]:
    """Whatever reads like one, in any string of the code and in the database's functions."""
    subjects = {*SUBJECTS, *(type_.split(".")[0] for type_ in PUBLIC.keys() | PRIVATE), *subjects_of_the_table()}
    named = re.compile(rf"""["']((?:{"|".join(sorted(subjects))})\.[a-z_]+)["']""")
    found = {type_ for source in sources() for type_ in named.findall(source.read_text())}
    return {type_ for type_ in found if not NO_TYPES.fullmatch(type_)}


def subjects_of_the_table() -> set[str]:
    (known,) = (c for c in EventRow.__table__.constraints if "subject_type_known" in str(c.name))
    return set(re.findall(r"'([a-z_]+)'", str(known.sqltext)))  # type: ignore[attr-defined]


def types_written() -> Iterator[str]:
    """Named where an event is written, whatever they are called."""
    for source in (source for source in sources() if source.suffix == ".py"):
        for call in ast.walk(ast.parse(source.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute):
                name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
                if name in WRITERS:
                    yield from (
                        given.value
                        for given in call.args
                        if isinstance(given, ast.Constant) and re.fullmatch(r"[a-z_]+\.[a-z_]+", str(given.value))
                    )


def test_every_type_that_is_written_is_declared_public_or_private():
    declared = PUBLIC.keys() | PRIVATE

    assert types_named() - declared == set()
    assert set(types_written()) - declared == set()
    assert len(set(types_written())) > 15


def test_what_is_declared_is_written_somewhere_and_is_not_both():
    assert PUBLIC.keys() & PRIVATE == set()
    declarations = PROJECT / "billing" / "ledger" / "public_events.py"
    text = "".join(source.read_text() for source in sources() if source != declarations)
    never = {type_ for type_ in PUBLIC.keys() | PRIVATE if f'"{type_}"' not in text and f"'{type_}'" not in text}
    assert never == set()


def test_only_declared_fields_go_out():
    data = {"number": 7, "close_reason": "manual", "note": "typed by somebody", "rate_snapshot_id": None}
    event = an_event("bill.closed", data)

    found = projected(event, "acme", "here", test=False)

    assert found == {
        "id": f"evt_{event.subject_id}_6",
        "type": "bill.closed",
        "occurred_at": "2026-11-20T12:00:00.000000Z",
        "version": 6,
        "subject": {"type": "bill", "id": str(event.subject_id), "customer_id": "acme"},
        "data": {"number": 7, "close_reason": "manual", "rate_snapshot_id": None},
        "position": "here",
        "test": False,
    }


def test_a_customer_goes_by_the_name_the_caller_has_for_it():
    assert projected(an_event("customer.created", {}, "customer"), "acme", "", test=False)["subject"] == {
        "type": "customer",
        "id": "acme",
    }


def test_a_private_event_has_no_projection():
    with pytest.raises(KeyError):
        projected(an_event("user.created", {}, "user"), None, "", test=False)


def an_event(type_: str, data: dict[str, object], subject_type: str = "bill", id_: UUID | None = None) -> Event:
    actor = Actor(ActorKind.USER, "id", "nino@example.com")
    occurred_at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return Event(subject_type, id_ or uuid4(), 6, type_, actor, "request-9", data, occurred_at, LogPosition(1, 2))
