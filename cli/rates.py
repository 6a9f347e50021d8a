"""`pave rates`: the exchange rates in use."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import click

from billing import money
from billing.clock import rfc3339
from billing.exchange import refreshing
from billing.ledger import rates as stored
from billing.origin import by_the_system
from billing.rates import RateSnapshot
from cli.environment import engine, settings

REQUEST = "pave-rates"
FINE = {"accepted", "unchanged", "quarantined"}


@click.group()
def rates() -> None:
    """Exchange rates: what is in use, and what waits for a decision."""


@rates.command()
def refresh() -> None:
    """Asks the provider now. Exits with 1 when that brought nothing; the last good rates stay."""
    outcome = refreshing.refresh(engine(), settings(), by_the_system(REQUEST))
    if outcome == "no_provider":
        raise click.ClickException("OPENEXCHANGERATES_APP_ID is not set: the sample rates serve")
    click.echo(outcome)
    if outcome not in FINE:
        last = stored.attempts(engine(), limit=1)
        raise click.ClickException(last[0].detail if last else outcome)


@rates.command()
def show() -> None:
    """The snapshot in use, its figures for the currencies offered, and what is in quarantine."""
    current = stored.current(engine(), samples=settings().sample_rates)
    if current is None:
        click.echo("There are no rates yet; conversions are unavailable.")
    else:
        _show(current)
    pending = stored.quarantined(engine())
    if pending is not None:
        click.echo(f"\nIn quarantine: {pending.snapshot.id}, agreed upon by {pending.agreeing_fetches} fetches")
        for move in pending.moves:
            click.echo(f"  {move.currency}  {money.plain(move.before)} -> {money.plain(move.after)}")
    for attempt in stored.attempts(engine(), limit=1):
        click.echo(f"\nLast attempt: {attempt.outcome} at {rfc3339(attempt.attempted_at)} {attempt.detail}".rstrip())


def _show(current: RateSnapshot) -> None:
    kind = "sample rates" if current.sample else current.provider
    stale = ", stale" if current.is_stale(datetime.now(UTC), settings().rates_stale_after) else ""
    click.echo(f"{current.id}  {kind}{stale}")
    click.echo(f"of {rfc3339(current.provider_time)}, fetched {rfc3339(current.fetched_at)}; per 1 {current.base}:")
    for code in settings().supported_currencies:
        rate = current.rates.get(code)
        click.echo(f"  {code}  {money.plain(rate) if rate is not None else '-'}")


@rates.command()
@click.argument("snapshot_id", metavar="ID", type=click.UUID)
def accept(snapshot_id: UUID) -> None:
    """Says that the rates in quarantine are right."""
    accepted = stored.accept_quarantined(engine(), by_the_system(REQUEST), snapshot_id)
    click.echo(f"{accepted.id} is in use", err=True)
