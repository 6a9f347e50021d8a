"""Every route, asked by every kind of caller, against the table in docs/access.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from billing.ledger import bills, links
from billing.origin import Origin
from billing.period import Period
from tests.support import access_table
from tests.support.access_table import Entry
from tests.support.visitor import PASSWORD, Visitor
from webapp.config import Config
from webapp.customer.tokens import token_of
from webapp.identity import access, api_keys, user_changes
from webapp.identity.access import PUBLIC, AccessUndeclared
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope

ENDED = "UPDATE sessions SET expires_at = clock_timestamp() - interval '1 s' WHERE user_id = :user"
HALFWAY = "UPDATE sessions SET awaits_code = true WHERE user_id = :user"
IN = "in"
UNKNOWN = "401"
FORBIDDEN = "403"
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Kind:
    """A kind of caller: what it sends, and what it may do by the table."""

    client: FlaskClient
    headers: Mapping[str, str] = field(default_factory=dict)
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    is_known_key: bool = False
    is_bound: bool = False

    def expected(self, entry: Entry) -> str:
        if entry.needed == PUBLIC:
            return IN
        if isinstance(entry.needed, Scope):
            if not self.is_known_key:
                return UNKNOWN
            has_scope = not self.scopes.isdisjoint({entry.needed, entry.its_own})
            return IN if has_scope and (entry.takes_bound or not self.is_bound) else FORBIDDEN
        assert isinstance(entry.needed, Role)
        if self.role is None:
            return UNKNOWN
        return IN if self.role.includes(entry.needed) else FORBIDDEN


@pytest.fixture(scope="module")
def link(engine: Engine, config: Config) -> str:
    """The token of a customer's link to a bill."""
    now = datetime.now(UTC)
    origin = Origin(api_keys.BY_A_COMMAND.actor, api_keys.BY_A_COMMAND.account_id, "test")
    bill = bills.open_bill(engine, origin, "acme", Period(now, now + timedelta(days=30))).bill
    return token_of(config.secret_key, links.create(engine, origin, bill.id)[0].id)


@pytest.fixture(scope="module")
def kinds(app: Flask, engine: Engine, link: str) -> dict[str, Kind]:
    return {**_without_key(app, link), **_with_keys(app, engine), **_signed_in(app, engine)}


def _without_key(app: Flask, link: str) -> dict[str, Kind]:
    authorizations = {
        "nobody": {},
        "a wrong key": {"Authorization": f"Bearer pave_{'x' * 43}"},
        "no key of ours": {"Authorization": "Bearer something"},
        "a key in letters of no alphabet of ours": {"Authorization": "Bearer pavé_é"},
        "a password in place of a key": {"Authorization": "Basic YWRtaW46YWRtaW4="},
        "a customer's link in place of a key": {"Authorization": f"Bearer {link}"},
        "a customer's link as a session": {"Cookie": f"session={link}"},
    }
    return {name: Kind(app.test_client(use_cookies=False), headers) for name, headers in authorizations.items()}


def _with_keys(app: Flask, engine: Engine) -> dict[str, Kind]:
    def key(name: str, scopes: frozenset[Scope], customers: tuple[str, ...] = ()) -> Kind:
        token = api_keys.create(engine, name=name, scopes=scopes, customers=customers)
        headers = {"Authorization": f"Bearer {token}"}
        return Kind(app.test_client(), headers, None, scopes, is_known_key=True, is_bound=bool(customers))

    everything = frozenset(Scope)
    revoked = key("revoked", everything)
    api_keys.revoke(engine, api_keys.every(engine)[-1].id)
    return {
        "a revoked key": Kind(revoked.client, revoked.headers),
        **{f"a key with {scope} alone": key(scope, frozenset({scope})) for scope in Scope},
        **{f"a key without {scope}": key(scope, everything - {scope}) for scope in Scope},
        "a key with everything": key("whole", everything),
        "a key bound to a customer": key("bound", everything, ("acme",)),
        "a bound key that may read": key("bound", frozenset({Scope.BILLS_READ}), ("acme",)),
    }


def _signed_in(app: Flask, engine: Engine) -> dict[str, Kind]:
    def session(role: Role, change: str | None = None) -> Kind:
        email = f"{uuid4().hex}@example.com"
        user_changes.create(engine, email=email, password=PASSWORD, role=role)
        client = Visitor(app.test_client()).signed_in(email).client
        if change is None:
            return Kind(client, role=role)
        with engine.begin() as connection:
            user = connection.execute(text("SELECT id FROM users WHERE email = :email"), {"email": email}).scalar_one()
            connection.execute(text(change), {"user": user})
        return Kind(client)

    return {
        **{f"a signed-in {role}": session(role) for role in Role},
        "an admin whose session ended": session(Role.ADMIN, ENDED),
        "an admin before the second factor": session(Role.ADMIN, HALFWAY),
        "an admin who is disabled": session(Role.ADMIN, "UPDATE users SET disabled_at = now() WHERE id = :user"),
    }


def asked(kind: Kind, entry: Entry) -> str:
    """What became of a request that names nothing there is, and carries nothing."""
    address = ARGUMENT.sub(lambda found: str(uuid4()), entry.rule)
    answer = kind.client.open(address, method=entry.method, headers=dict(kind.headers))
    try:
        return IN if entry.needed == PUBLIC and not refused(answer) else outcome(answer)
    finally:
        answer.close()


def outcome(answer: TestResponse) -> str:
    to_sign_in = answer.status_code == 303 and answer.headers["Location"].startswith("/session/new")
    if to_sign_in or answer.status_code == 401:
        return UNKNOWN
    return FORBIDDEN if answer.status_code == 403 else IN


def refused(answer: TestResponse) -> bool:
    """The steps of signing in have redirects and 401s of their own, which are pages."""
    return answer.status_code == 403 or (answer.status_code == 401 and answer.is_json)


def test_the_table_is_what_the_routes_declare(app: Flask):
    assert access_table.FILE.read_text(encoding="utf-8") == access_table.written(access_table.declared(app)), (
        "run .venv/bin/python -m tests.support.access_table, and look at what has changed"
    )


def test_every_route_lets_in_whom_the_table_names_and_nobody_else(kinds: dict[str, Kind]):
    table = access_table.documented()
    assert len(table) > 80
    wrong = []
    for name, kind in kinds.items():
        for entry in table:
            found, expected = asked(kind, entry), kind.expected(entry)
            if found != expected:
                wrong.append(f"{name}: {entry.method} {entry.rule} is {found}, not {expected}")
    assert not wrong, "\n".join(wrong)


def test_a_link_opens_its_own_pages_and_is_no_key_to_any_other(app: Flask, link: str):
    client = app.test_client(use_cookies=False)
    under = [entry for entry in access_table.documented() if entry.rule.startswith("/b/")]
    assert {entry.needed for entry in under} == {PUBLIC}
    assert {entry.method for entry in under if "<token>" in entry.rule} == {"GET"}
    assert client.get(f"/b/{link}").status_code == 200
    assert client.get(f"/b/{link[:-1]}{'A' if link[-1] != 'A' else 'B'}").status_code == 404


def test_what_is_public_is_known():
    """Whoever adds to it says so here."""
    public = {entry.rule for entry in access_table.documented() if entry.needed == PUBLIC}
    others = {rule for rule in public if not rule.startswith(("/b/", "/session", "/static/", "/assets/"))}
    assert others == {"/healthz", "/readyz", "/logos/<digest>", "/docs", "/api/v1/openapi.json"}


class TestARouteThatForgets:
    @pytest.fixture
    def forgetful(self) -> Flask:
        app = Flask("forgetful")
        access.public(app.view_functions["static"])
        return app

    def test_to_declare_keeps_the_application_from_starting(self, forgetful: Flask):
        forgetful.add_url_rule("/open-to-all", "open_to_all", lambda: "")
        with pytest.raises(AccessUndeclared, match="open_to_all"):
            access.refuse_undeclared(forgetful)

    @pytest.mark.parametrize(
        ("endpoint", "needed"), [("api.bills", Role.ADMIN), ("pages.bills", Scope.BILLS_READ), ("pages.x", "viewer")]
    )
    def test_or_declares_what_its_callers_never_have(self, forgetful: Flask, endpoint: str, needed: Role | Scope):
        view: Callable[[], str] = access.allow(needed)(lambda: "")
        forgetful.view_functions[endpoint] = view
        forgetful.url_map.add(forgetful.url_rule_class("/x", endpoint=endpoint))
        with pytest.raises(AccessUndeclared, match=endpoint):
            access.refuse_undeclared(forgetful)
