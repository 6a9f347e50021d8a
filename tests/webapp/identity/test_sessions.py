from __future__ import annotations

import time

import pytest
from flask import Flask, session
from sqlalchemy import Engine, text

from billing.errors import AlreadyExists, InvalidArgument
from webapp.identity import passwords, sessions, users
from webapp.identity.roles import Role

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def ada(engine: Engine) -> str:
    users.create(engine, email="Ada@Example.com", password=PASSWORD, role=Role.OPERATOR)
    return "ada@example.com"


class TestUsers:
    def test_addresses_are_kept_in_lower_case_and_found_in_any(self, engine: Engine, ada: str):
        assert users.verified(engine, " ADA@example.COM ", PASSWORD).email == ada

    def test_an_address_is_taken_once(self, engine: Engine, ada: str):
        with pytest.raises(AlreadyExists):
            users.create(engine, email="ADA@EXAMPLE.COM", password=PASSWORD, role=Role.VIEWER)

    @pytest.mark.parametrize("email", ["", "nobody", "a b@c.example", "@"])
    def test_what_is_no_address_is_refused(self, engine: Engine, email: str):
        with pytest.raises(InvalidArgument):
            users.create(engine, email=email, password=PASSWORD, role=Role.VIEWER)

    def test_a_short_password_is_refused(self, engine: Engine):
        with pytest.raises(InvalidArgument):
            users.create(engine, email="short@example.com", password="123456789", role=Role.VIEWER)

    def test_an_unknown_address_and_a_wrong_password_take_equally_long(self, engine: Engine, ada: str):
        passwords._nobodys_hash()

        def seconds(email: str) -> float:
            began = time.perf_counter()
            assert users.verified(engine, email, "wrong password") is None
            return time.perf_counter() - began

        wrong, unknown = (min(seconds(email) for _ in range(3)) for email in (ada, "nobody@example.com"))
        assert unknown > 0.5 * wrong

    def test_a_disabled_user_is_nobody(self, engine: Engine):
        users.create(engine, email="gone@example.com", password=PASSWORD, role=Role.ADMIN)
        with engine.begin() as connection:
            connection.execute(text("UPDATE users SET disabled_at = now() WHERE email = 'gone@example.com'"))

        assert users.verified(engine, "gone@example.com", PASSWORD) is None


class TestSessions:
    @pytest.fixture
    def browser(self, app: Flask):
        with app.test_request_context("/"):
            yield

    def test_signing_in_starts_one(self, engine: Engine, ada: str, browser):
        sessions.sign_in(engine, ada, PASSWORD)

        caller = sessions.authenticate(engine)
        assert (caller.actor.name, caller.role) == (ada, Role.OPERATOR)

    def test_a_wrong_password_starts_none(self, engine: Engine, ada: str, browser):
        assert sessions.sign_in(engine, ada, "wrong password") is None
        assert sessions.authenticate(engine) is None

    def test_signing_out_ends_it_also_for_who_copied_the_cookie(self, engine: Engine, ada: str, browser):
        sessions.sign_in(engine, ada, PASSWORD)
        copied = dict(session)

        sessions.sign_out(engine)
        session.update(copied)

        assert sessions.authenticate(engine) is None

    def test_signing_in_again_is_another_session(self, engine: Engine, ada: str, browser):
        sessions.sign_in(engine, ada, PASSWORD)
        first = session["token"]
        session["csrf_token"] = "planted"

        sessions.sign_in(engine, ada, PASSWORD)

        assert session["token"] != first
        assert "csrf_token" not in session

    def test_the_token_is_kept_as_its_hash_alone(self, engine: Engine, ada: str, browser):
        sessions.sign_in(engine, ada, PASSWORD)

        with engine.connect() as connection:
            stored = connection.execute(text("SELECT string_agg(sessions::text, ' ') FROM sessions")).scalar_one()
        assert session["token"] not in stored

    @pytest.mark.parametrize(
        "change",
        [
            "last_seen_at = now() - interval '12 hours 1 second'",
            "expires_at = now()",
            "user_id = user_id, expires_at = last_seen_at - interval '1 day'",
        ],
    )
    def test_it_ends_after_twelve_idle_hours_or_seven_days(self, engine: Engine, ada: str, browser, change: str):
        sessions.sign_in(engine, ada, PASSWORD)
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE sessions SET {change}"))

        assert sessions.authenticate(engine) is None

    def test_it_lasts_seven_days_at_most(self, engine: Engine, ada: str, browser):
        sessions.sign_in(engine, ada, PASSWORD)
        with engine.connect() as connection:
            days = connection.execute(text("SELECT max(expires_at) - now() FROM sessions")).scalar_one()
        assert days <= sessions.LONGEST

    @pytest.mark.parametrize("token", [5, None, "", "x" * 5000, "é"])
    def test_another_token_is_nobodys(self, engine: Engine, browser, token):
        session["token"] = token

        assert sessions.authenticate(engine) is None
