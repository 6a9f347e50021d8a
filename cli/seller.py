"""`pave seller`: who sends the bills."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from billing.ledger import seller as stored
from billing.origin import BILLING_ACCOUNT, Actor, ActorKind, Origin
from cli.environment import engine
from webapp.logos import printable

ORIGIN = Origin(Actor(ActorKind.SYSTEM, "pave", "pave"), BILLING_ACCOUNT, "pave-seller")


@click.group()
def seller() -> None:
    """Name, address, tax id and logo that closing copies into each bill."""


@seller.command()
@click.option("--name", required=True)
@click.option("--address", default="", help="Lines may be separated by real line breaks.")
@click.option("--tax-id", default="")
@click.option("--logo", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A PNG or JPEG file.")
@click.option("--no-logo", is_flag=True, help="Without either of the two the present logo stays.")
def change(name: str, address: str, tax_id: str, logo: Path | None, no_logo: bool) -> None:
    """Sets all of it. Bills closed before keep what they were closed with."""
    wanted = stored.parse(name, address, tax_id)
    if not no_logo:
        wanted = replace(wanted, logo=stored.read(engine()).logo)
    stored.change(engine(), ORIGIN, wanted, new_logo=printable(logo.read_bytes()) if logo else None)


@seller.command()
def show() -> None:
    """As bills closed from now on will have it."""
    current = stored.read(engine())
    logo = f"logo {current.logo}" if current.logo else ""
    click.echo("\n".join(part for part in (current.name, current.address, current.tax_id, logo) if part))
