"""The audit log, for administrators: every change there was, how far the log is sealed, and all of it as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import Response, request
from flask.typing import ResponseReturnValue

from billing.clock import parse_instant, rfc3339
from billing.errors import InvalidArgument
from billing.identifiers import parse_id
from billing.ledger import audit_log, imports, sealing
from billing.ledger.audit_log import EventNotFound, LogFilter, Place
from billing.ledger.events import Event
from billing.ledger.sealing import Standing
from webapp import audit_lines, csv_text
from webapp.exports.streaming import Chunks, streamed
from webapp.identity.access import allow
from webapp.identity.roles import Role
from webapp.pages.addresses import address
from webapp.pages.blueprint import pages
from webapp.pages.event_words import EVENT_TYPES, event_words
from webapp.pages.forms import Form
from webapp.pages.inputs import HIGHEST_POSITION, day_after, day_start
from webapp.pages.rendering import render
from webapp.system import system

EVENTS_SHOWN = 50
ACTORS_OFFERED = 200
FILTERS = ("type", "actor", "subject", "from", "to")
# Where a seal is late: a worker seals every ten seconds.
LATE = timedelta(minutes=5)
KINDS = {"user": "user", "api_key": "API key", "workflow": "workflow", "system": "system"}
# Pages that show what an event is about, and the name of its id in their addresses.
SHOWN_AT = {
    "bill": ("pages.show_bill", "bill_id"),
    "user": ("pages.show_user", "user_id"),
    "api_key": ("pages.show_api_key", "key_id"),
}


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """`title` and `detail` in words, as far as what is stored makes sense."""

    event: Event
    title: str
    detail: str
    subject: str
    address: str


@dataclass(frozen=True, slots=True)
class ShownLog:
    """`address` is the beginning of what is filtered, `next_address` where it goes on, if it does."""

    form: Form
    events: Sequence[ShownEvent]
    types: Sequence[str]
    actors: Sequence[str]
    standing: Standing
    is_late: bool
    address: str
    next_address: str | None
    csv_address: str
    ndjson_address: str
    is_filtered: bool
    is_continued: bool


@pages.get("/settings/audit-log")
@allow(Role.ADMIN)
def show_audit_log() -> ResponseReturnValue:
    """What can't be right in a filter is said beside it, and no events are listed."""
    chosen = _filters_in(request.args)
    form, found, next_address = Form(chosen), [], None
    after = request.args.get("after", "")
    try:
        wanted = _wanted(chosen)
        place = _place(after, wanted) if after else None
        found = audit_log.events(system().engine, wanted, limit=EVENTS_SHOWN + 1, after=place)
        if len(found) > EVENTS_SHOWN:
            ends_at = _text_of(audit_log.place_of(found[EVENTS_SHOWN - 1].event, wanted))
            next_address = address("pages.show_audit_log", **chosen, after=ends_at)
    except InvalidArgument as refusal:
        form = form.refused(refusal)
    standing = sealing.standing(system().engine)
    shown = ShownLog(
        form=form,
        events=[_shown(logged.event) for logged in found[:EVENTS_SHOWN]],
        types=EVENT_TYPES,
        actors=audit_log.actors(system().engine, limit=ACTORS_OFFERED),
        standing=standing,
        is_late=standing.waited is not None and standing.waited > LATE,
        address=address("pages.show_audit_log", **chosen),
        next_address=next_address,
        csv_address=address("pages.export_audit_csv", **chosen),
        ndjson_address=address("pages.export_audit_ndjson", **chosen),
        is_filtered=bool(chosen),
        is_continued=bool(after),
    )
    return render("audit_log/index.html", shown=shown)


@pages.get("/settings/audit-log/<subject_id>/<version>")
@allow(Role.ADMIN)
def show_logged_event(subject_id: str, version: str) -> ResponseReturnValue:
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 20 else 0
    if number > HIGHEST_POSITION:
        raise EventNotFound
    found = audit_log.event(system().engine, parse_id(subject_id, EventNotFound), number)
    event = found.event
    return render(
        "audit_log/show.html",
        shown=_shown(event),
        kind=KINDS[event.actor.kind],
        data=found.data if event.data else "",
        seal=found.seal,
        subject_address=_shown_at(event),
    )


def _shown_at(event: Event) -> str | None:
    if event.subject_type == "import":  # has a page on its bill, if it is about one
        bill_id = imports.by_id(system().engine, event.subject_id).bill_id
        return address("pages.show_import", bill_id=bill_id, import_id=event.subject_id) if bill_id else None
    endpoint, name = SHOWN_AT.get(event.subject_type, (None, ""))
    return address(endpoint, **{name: event.subject_id}) if endpoint else None


@pages.get("/settings/audit-log.csv")
@allow(Role.ADMIN)
def export_audit_csv() -> Response:
    return _export(audit_lines.csv, csv_text.MIMETYPE, "csv")


@pages.get("/settings/audit-log.ndjson")
@allow(Role.ADMIN)
def export_audit_ndjson() -> Response:
    return _export(audit_lines.ndjson, audit_lines.NDJSON, "ndjson")


def _export(lines: Callable[[audit_lines.Batches], Iterator[str]], mimetype: str, ending: str) -> Response:
    """All that is filtered, sent while it is being read. Raises InvalidArgument for a filter that can't be right, and
    TooManyExports."""
    engine, wanted = system().engine, _wanted(_filters_in(request.args))

    def chunks() -> Chunks:
        yield from lines(audit_log.in_batches(engine, wanted))

    name = f"audit-log-{datetime.now(UTC).date().isoformat()}.{ending}"
    return streamed(chunks, mimetype=mimetype, file_name=name)


def _filters_in(arguments: Mapping[str, str]) -> dict[str, str]:
    return {name: arguments[name].strip() for name in FILTERS if arguments.get(name, "").strip()}


def _wanted(chosen: Mapping[str, str]) -> LogFilter:
    """Raises InvalidArgument naming the filter."""
    wanted = LogFilter(
        subject_id=_subject(chosen["subject"]) if "subject" in chosen else None,
        type=_storable(chosen.get("type")),
        actor=_storable(chosen.get("actor")),
        since=day_start(chosen.get("from", ""), "from"),
        before=day_after(chosen.get("to", ""), "to"),
    )
    if wanted.since and wanted.before and wanted.since >= wanted.before:
        raise InvalidArgument("This day is before the first one", field="to")
    return wanted


def _subject(text: str) -> UUID:
    try:
        return parse_id(text, EventNotFound)
    except EventNotFound:
        raise InvalidArgument("Not an id; it stands in the page's address", field="subject") from None


def _storable(text: str | None) -> str | None:
    """PostgreSQL knows no NUL; what holds one is found nowhere."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if text else None


def _shown(event: Event) -> ShownEvent:
    try:
        title, detail = event_words(event)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # Of an event that somebody changed, or that a newer version wrote.
        title, detail = event.type, ""
    subject = "API key" if event.subject_type == "api_key" else event.subject_type.replace("_", " ").capitalize()
    shown_at = address("pages.show_logged_event", subject_id=event.subject_id, version=event.version)
    return ShownEvent(event, title, detail, subject, shown_at)


def _place(text: str, wanted: LogFilter) -> Place:
    """What `_text_of` wrote. Raises EventNotFound for anything else: there is no such page."""
    instant, _, number = text.rpartition("~")
    if not (number.isascii() and number.isdigit() and len(number) < 20 and int(number) <= HIGHEST_POSITION):
        raise EventNotFound
    if bool(instant) is (wanted.subject_id is not None):
        raise EventNotFound
    try:
        return Place(int(number), parse_instant(instant, "after") if instant else None)
    except InvalidArgument:
        raise EventNotFound from None


def _text_of(place: Place) -> str:
    return f"{rfc3339(place.occurred_at)}~{place.number}" if place.occurred_at else str(place.number)
