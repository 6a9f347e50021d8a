"""The command as its users run it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from billing.ledger import bill_list, customers
from billing.origin import Origin
from webapp.identity import api_keys, user_changes, users
from webapp.identity.roles import Role
from webapp.identity.scopes import OF_ROLE, Scope


@pytest.fixture
def pave(database_url: str):
    def pave(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "SECRET_KEY": "a secret of the tests",
            **environment,
        }
        command = [sys.executable, "-m", "cli.main", *arguments]
        return subprocess.run(command, input=text, text=True, capture_output=True, env=given, timeout=60, check=False)

    return pave


def test_a_new_key_is_all_that_is_printed(pave, engine: Engine):
    done = pave("api-keys", "create", "--name", "erp", "--role", "operator")

    key = api_keys.every(engine)[-1]
    assert done.returncode == 0
    assert done.stdout.startswith("pave_")
    assert len(done.stdout.splitlines()) == 1
    assert (key.name, key.scopes, key.hint) == ("erp", OF_ROLE[Role.OPERATOR], done.stdout[:11])


def test_one_for_a_few_scopes_and_customers(pave, engine: Engine, origin: Origin):
    for name in ("acme", "beta"):
        customers.register(engine, origin, name, {})
    given = ("--scope", "items:write", "--scope", "bills:read", "--customer", "beta", "--customer", "acme")
    assert pave("api-keys", "create", "--name", "meter", *given).returncode == 0

    key = api_keys.every(engine)[-1]
    assert (key.scopes, key.customers) == ({Scope.ITEMS_WRITE, Scope.BILLS_READ}, ("acme", "beta"))
    line = pave("api-keys", "list").stdout.splitlines()[-1]
    assert line.endswith("bills:read,items:write  acme,beta")
    assert "items:write" in pave("api-keys", "scopes").stdout


@pytest.mark.parametrize("given", [(), ("--scope", "king"), ("--role", "viewer", "--customer", "nobody at all")])
def test_none_is_made_that_opens_nothing_or_is_bound_to_nobody(pave, engine: Engine, given: tuple[str, ...]):
    before = len(api_keys.every(engine))
    done = pave("api-keys", "create", "--name", "erp", *given)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert len(api_keys.every(engine)) == before


def test_keys_are_listed_and_revoked(pave, engine: Engine):
    pave("api-keys", "create", "--name", "to be revoked", "--role", "viewer")
    key = api_keys.every(engine)[-1]

    revoked = pave("api-keys", "revoke", str(key.id))

    assert revoked.returncode == 0
    assert api_keys.every(engine)[-1].revoked_at is not None
    assert str(key.id) in pave("api-keys", "list").stdout


def test_a_password_comes_on_standard_input(pave, engine: Engine):
    done = pave("users", "create", "--email", "Eve@Example.com", "--role", "admin", text="a long password\n")

    assert (done.returncode, done.stdout) == (0, "")
    assert users.verified(engine, "eve@example.com", "a long password").role is Role.ADMIN


def test_or_is_made_and_printed(pave, engine: Engine):
    done = pave("users", "create", "--email", "bob@example.com", "--role", "viewer")

    assert users.verified(engine, "bob@example.com", done.stdout.strip()) is not None
    assert "bob@example.com" in pave("users", "list").stdout


def test_somebody_is_disabled_and_enabled_again(pave, engine: Engine):
    user_changes.create(engine, email="eva@example.com", password="a long password", role=Role.VIEWER)

    assert pave("users", "disable", "EVA@example.com").returncode == 0
    assert users.verified(engine, "eva@example.com", "a long password") is None
    assert pave("users", "enable", "eva@example.com").returncode == 0
    assert users.verified(engine, "eva@example.com", "a long password") is not None


def test_somebody_who_lost_everything_gets_a_new_password_and_no_second_factor(pave, engine: Engine):
    user_changes.create(engine, email="lost@example.com", password="a long password", role=Role.ADMIN)

    done = pave("users", "reset-password", "lost@example.com")

    assert users.verified(engine, "lost@example.com", done.stdout.strip()) is not None
    assert pave("users", "reset-second-factor", "lost@example.com").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("users", "disable", "nobody@example.com"), "user not found"),
        (("users", "create", "--email", "nobody", "--role", "viewer"), "email must be an e-mail address"),
        (("users", "create", "--email", "a@b.example", "--role", "king"), "king"),
        (("api-keys", "create", "--name", " ", "--role", "viewer"), "name is required"),
        (("api-keys", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"), "API key not found"),
        (("rates", "refresh"), "OPENEXCHANGERATES_APP_ID"),
        (("rates", "accept", "01890a5d-ac96-774b-bcce-b302099a8057"), "rate snapshot not found"),
        (("fly",), "fly"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence(pave, arguments: tuple[str, ...], sentence: str):
    done = pave(*arguments)

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_system_it_says_what_is_missing(pave, tmp_path: Path):
    done = pave("users", "list", DATABASE_URL="", DATA_DIR=str(tmp_path))

    assert done.returncode == 1
    assert "DATABASE_URL is not set" in done.stderr


def test_rates_are_shown(pave):
    assert "sample rates" in pave("rates", "show").stdout


def test_the_demo_is_added_once(pave, engine: Engine):
    first, second = pave("demo"), pave("demo")

    bills = bill_list.bills(engine, limit=100)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "20 bills made" in first.stdout
    assert "0 bills made, 20 there already" in second.stdout
    assert len(bills) == 20
    assert {str(bill.status) for bill in bills} == {"open", "closing"}
    assert len({code for bill in bills for code in bill.currencies}) >= 6
