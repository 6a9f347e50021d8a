"""`pave seller`: who sends the bills."""

from __future__ import annotations

import click

from billing.ledger import seller as stored
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from cli.environment import engine

ORIGIN = Origin(Actor(ActorKind.SYSTEM, "pave", "pave"), BILLING_ACCOUNT, "pave-seller")


@click.group()
def seller() -> None:
    """Name, address and tax id that closing copies into each bill."""


@seller.command()
@click.option("--name", required=True)
@click.option("--address", default="", help="Lines may be separated by real line breaks.")
@click.option("--tax-id", default="")
def change(name: str, address: str, tax_id: str) -> None:
    """Sets all three. Bills closed before keep what they were closed with."""
    stored.change(engine(), ORIGIN, stored.parse(name, address, tax_id))


@seller.command()
def show() -> None:
    """As bills closed from now on will have it."""
    current = stored.read(engine())
    click.echo("\n".join(part for part in (current.name, current.address, current.tax_id) if part))
