"""`pave api-keys`: integrators' credentials."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from billing.text import parse_text
from cli.environment import engine
from webapp.identity import api_keys as keys
from webapp.identity.roles import Role
from webapp.identity.scopes import MEANING, Scope, in_order

ROLES = click.Choice([role.value for role in Role])
SCOPES = click.Choice([scope.value for scope in Scope])


@click.group("api-keys")
def api_keys() -> None:
    """Credentials of the JSON API."""


@api_keys.command()
@click.option("--name", required=True, help="The integration. Keys of one name share an account.")
@click.option("--scope", "scopes", multiple=True, type=SCOPES, help="What the key opens; once for each.")
@click.option("--role", type=ROLES, help="Short for all scopes that go with this role.")
@click.option("--customer", "customers", multiple=True, help="Binds the key to this customer; once for each.")
@click.option("--test", is_flag=True, help="A key of test mode: it makes and sees nothing live.")
def create(name: str, scopes: tuple[str, ...], role: str | None, customers: tuple[str, ...], *, test: bool) -> None:
    """Prints a new key, which is shown this once, and nothing else."""
    name = parse_text(name.strip(), "name", longest=keys.LONGEST_NAME)
    if not scopes and not role:
        raise click.UsageError("give the key a --scope, or several, or a --role")
    granted, of_role = [*map(Scope, scopes)], Role(role) if role else None
    click.echo(keys.create(engine(), name=name, scopes=granted, role=of_role, customers=customers, test=test))


@api_keys.command()
def scopes() -> None:
    """What a key can open."""
    for scope, meaning in MEANING.items():
        click.echo(f"{scope:16}  {meaning}")


@api_keys.command("list")
def list_keys() -> None:
    """Every key ever made, oldest first."""
    row = "{:36}  {:20}  {:4}  {:16}  {:16}  {:16}  {:16}  {}  {}".format
    click.echo(row("ID", "NAME", "KIND", "BEGINS", "CREATED", "LAST USED", "REVOKED", "SCOPES", "CUSTOMERS"))
    for key in keys.every(engine()):
        times = (_minute(key.created_at), _minute(key.last_used_at), _minute(key.revoked_at))
        opens = (",".join(in_order(key.scopes)), ",".join(key.customers) or "all")
        click.echo(row(str(key.id), key.name, "test" if key.test else "live", key.hint, *times, *opens))


@api_keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """Ends a key's validity at once."""
    keys.revoke(engine(), key_id)
    click.echo(f"{key_id} is revoked", err=True)


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else "-"
