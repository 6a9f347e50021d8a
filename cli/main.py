"""`pave`: what an operator does from a shell. It reads the same variables as the web process and the worker."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import NoReturn

import click

from billing.errors import BillingError
from billing.settings import SettingsInvalid

COMMANDS = {
    "api-keys": ("cli.api_keys", "api_keys"),
    "audit": ("cli.audit", "audit"),
    "demo": ("cli.demo", "demo"),
    "losses": ("cli.reconcile", "losses"),
    "rates": ("cli.rates", "rates"),
    "reconcile": ("cli.reconcile", "reconcile"),
    "rollups": ("cli.rollups", "rollups"),
    "seller": ("cli.seller", "seller"),
    "users": ("cli.users", "users"),
}


class _Commands(click.Group):
    """Imports a command when it is asked for: most need neither Flask nor Temporal, which take seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def pave() -> None:
    """Looks after a Pave Billing system: the one that DATABASE_URL names, or a running bin/dev."""


def main() -> NoReturn:
    leave(_run())


def _run() -> int:
    try:
        code = pave.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except (BillingError, SettingsInvalid) as refused:
        click.echo(f"pave: {refused}", err=True)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return code if isinstance(code, int) else 0


def leave(code: int) -> NoReturn:
    """Ends the process after its last word: one that used Temporal's client can abort in the interpreter's own end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
