"""`pave rollups`: the sums that the overview reads."""

from __future__ import annotations

import click

from billing.ledger import rollups as counting
from cli.environment import engine


@click.group()
def rollups() -> None:
    """The overview's sums, which follow the event log."""


@rollups.command()
def rebuild() -> None:
    """Counts the whole log anew. The overview shows no sums until that is done; a worker that runs helps."""
    counted = counting.rebuild(engine())
    click.echo(f"{counted:,} events counted")
