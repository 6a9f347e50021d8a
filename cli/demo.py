"""`pave demo`: believable data, made by the system's own commands, so that it obeys every rule."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from billing.bill import Bill, LineItem, LineItemDraft
from billing.errors import AlreadyExists, BillingError
from billing.ledger import customers, reads, seller
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from billing.period import Period
from cli import demo_data
from cli.demo_data import DemoBill, DemoCustomer
from cli.environment import engine, environment, settings
from webapp import commands
from webapp.config import Config
from webapp.system import System

ACTOR = Actor(ActorKind.SYSTEM, "demo", "Demo data")
TELL_WITHIN_S = 5.0


@dataclass(slots=True)
class Counts:
    made: int = 0
    there: int = 0
    skipped: int = 0


@click.command()
def demo() -> None:
    """Adds customers and bills to look at: open, closing soon and closed, in several currencies.

    Run again, it adds what is missing and nothing twice.
    """
    system = _system()
    _name_seller(system)
    beginning = min(_registered(system, customer) for customer in demo_data.CUSTOMERS)
    counts = Counts()
    for bill in demo_data.BILLS:
        _add(system, bill, beginning, counts)
    _wait_until_told(system)
    click.echo(f"demo data: {counts.made} bills made, {counts.there} there already, {counts.skipped} left out")


def _system() -> System:
    secret = environment().get("SECRET_KEY", "")
    return System(Config(settings(), secret_key=secret), engine())


def _name_seller(system: System) -> None:
    """Unless somebody has: closed bills of the demo are to say who sent them."""
    if not seller.read(system.engine).name:
        seller.change(system.engine, _origin("seller"), seller.parse(*demo_data.SELLER))


def _origin(key: str) -> Origin:
    return Origin(ACTOR, BILLING_ACCOUNT, "pave-demo", f"demo/{key}")


def _registered(system: System, customer: DemoCustomer) -> datetime:
    """The minute in which the customer was first made; every date of the demo counts from the earliest of these."""
    details = customers.parse_details(
        {"name": customer.name, "email": customer.email, "billing_address": customer.address}
    )
    try:
        registered, _ = commands.register_customer(system, _origin(customer.id), customer.id, details)
    except AlreadyExists:
        registered = reads.customer(system.engine, customer.id)
    return registered.created_at.replace(second=0, microsecond=0)


def _add(system: System, demo_bill: DemoBill, beginning: datetime, counts: Counts) -> None:
    start, end = beginning + demo_bill.starts, beginning + demo_bill.ends
    period = Period(start, end).checked()
    try:
        opened = commands.open_bill(system, _origin(demo_bill.key), demo_bill.customer_id, period)
        if opened.replayed:
            counts.there += 1
        if opened.bill.is_open:
            _fill(system, demo_bill, opened.bill)
        counts.made += not opened.replayed
    except BillingError as refused:
        # Days later some ends have passed; what can't be made any more is left out.
        click.echo(f"{demo_bill.key}: {refused}", err=True)
        counts.skipped += 1


def _fill(system: System, demo_bill: DemoBill, bill: Bill) -> None:
    offered = system.supported_currencies
    items: dict[int, LineItem] = {}
    for n, line in enumerate(demo_bill.lines):
        if line.currency in offered:
            draft = LineItemDraft.parse(
                line.description, line.quantity, line.unit_price, line.currency, offered=offered
            )
            items[n] = commands.add_line_item(system, _origin(f"{demo_bill.key}/{n}"), bill.id, draft).item
    for n, reason in demo_bill.reversals.items():
        if n in items:
            origin = _origin(f"{demo_bill.key}/{n}/reversal")
            commands.reverse_line_item(system, origin, bill.id, items[n].id, reason)
    if demo_bill.close:
        commands.close_bill(system, _origin(f"{demo_bill.key}/close"), bill.id)


def _wait_until_told(system: System) -> None:
    """Workflows hear in the background; what isn't heard by then, the sweep tells."""
    deadline = time.monotonic() + TELL_WITHIN_S
    while system.workflows.lag_s() > 0 and time.monotonic() < deadline:
        time.sleep(timedelta(milliseconds=50).total_seconds())
