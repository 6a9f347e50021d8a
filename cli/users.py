"""`pave users`: staff who sign in."""

from __future__ import annotations

import sys

import click

from cli.api_keys import ROLES
from cli.environment import engine
from webapp.identity import passwords, user_changes
from webapp.identity import users as staff
from webapp.identity.roles import Role
from webapp.identity.user_changes import BY_A_COMMAND


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
    password = given or passwords.generated()
    user_changes.create(engine(), email=email, password=password, role=Role(role))
    click.echo(f"{staff.normalised_email(email)} may sign in as {role}", err=True)
    if not given:
        click.echo(password)


@users.command("list")
def list_users() -> None:
    """Everybody, by address."""
    row = "{:40}  {:8}  {:16}  {:13}  {}".format
    click.echo(row("E-MAIL", "ROLE", "CREATED", "SECOND FACTOR", "DISABLED"))
    for user in staff.every(engine()):
        disabled = f"{user.disabled_at:%Y-%m-%d %H:%M}" if user.disabled_at else "-"
        factor = "yes" if user.has_second_factor else "-"
        click.echo(row(user.email, user.role, f"{user.created_at:%Y-%m-%d %H:%M}", factor, disabled))


@users.command()
@click.argument("email")
def disable(email: str) -> None:
    """Ends somebody's sessions at once; they can't sign in until enabled again."""
    user_changes.disable(engine(), BY_A_COMMAND, staff.by_email(engine(), email).id)
    click.echo(f"{email} is disabled and signed out everywhere", err=True)


@users.command()
@click.argument("email")
def enable(email: str) -> None:
    """Lets somebody sign in again."""
    user_changes.enable(engine(), BY_A_COMMAND, staff.by_email(engine(), email).id)
    click.echo(f"{email} may sign in again", err=True)


@users.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Sets the password on standard input, or generates one and prints it; ends somebody's sessions."""
    given = _given_password()
    password = given or passwords.generated()
    user_changes.reset_password(engine(), BY_A_COMMAND, staff.by_email(engine(), email).id, password)
    click.echo(f"{email} has a new password and is signed out everywhere", err=True)
    if not given:
        click.echo(password)


@users.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """For who lost their app and their recovery codes; ends their sessions."""
    user_changes.remove_second_factor(engine(), BY_A_COMMAND, staff.by_email(engine(), email).id)
    click.echo(f"{email} has no second factor and is signed out everywhere", err=True)


def _given_password() -> str:
    return "" if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
