"""`pave api-keys`: integrators' credentials."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from billing.text import parse_text
from cli.environment import engine
from webapp.identity import api_keys as keys
from webapp.identity.roles import Role

ROLES = click.Choice([role.value for role in Role])


@click.group("api-keys")
def api_keys() -> None:
    """Credentials of the JSON API."""


@api_keys.command()
@click.option("--name", required=True, help="The integration. Keys of one name share an account.")
@click.option("--role", required=True, type=ROLES)
def create(name: str, role: str) -> None:
    """Prints a new key, which is shown this once, and nothing else."""
    name = parse_text(name.strip(), "name", longest=keys.LONGEST_NAME)
    click.echo(keys.create(engine(), name=name, role=Role(role)))


@api_keys.command("list")
def list_keys() -> None:
    """Every key ever made, oldest first."""
    row = "{:36}  {:20}  {:8}  {:13}  {:16}  {:16}  {}".format
    click.echo(row("ID", "NAME", "ROLE", "BEGINS", "CREATED", "LAST USED", "REVOKED"))
    for key in keys.every(engine()):
        times = (_minute(key.created_at), _minute(key.last_used_at), _minute(key.revoked_at))
        click.echo(row(str(key.id), key.name, key.role, key.hint, *times))


@api_keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """Ends a key's validity at once."""
    keys.revoke(engine(), key_id)
    click.echo(f"{key_id} is revoked", err=True)


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else "-"
