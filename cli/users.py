"""`pave users`: staff who sign in."""

from __future__ import annotations

import secrets
import sys

import click

from cli.api_keys import ROLES
from cli.environment import engine
from webapp.identity import users as staff
from webapp.identity.roles import Role


@click.group()
def users() -> None:
    """People who sign in to the pages."""


@users.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=ROLES)
@click.option("--password-stdin", is_flag=True, help="Insist on a password on standard input.")
def create(email: str, role: str, password_stdin: bool) -> None:
    """Creates a user. The password is the line on standard input; without one it is generated and printed."""
    given = _given_password()
    if password_stdin and not given:
        raise click.ClickException("no password came on standard input")
    password = given or secrets.token_urlsafe(12)
    staff.create(engine(), email=email, password=password, role=Role(role))
    click.echo(f"{staff.normalised_email(email)} may sign in as {role}", err=True)
    if not given:
        click.echo(password)


@users.command("list")
def list_users() -> None:
    """Everybody, by address."""
    row = "{:40}  {:8}  {:16}  {}".format
    click.echo(row("E-MAIL", "ROLE", "CREATED", "DISABLED"))
    for user in staff.every(engine()):
        disabled = f"{user.disabled_at:%Y-%m-%d %H:%M}" if user.disabled_at else "-"
        click.echo(row(user.email, user.role, f"{user.created_at:%Y-%m-%d %H:%M}", disabled))


def _given_password() -> str:
    return "" if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
