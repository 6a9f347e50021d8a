from __future__ import annotations

import time
from uuid import uuid4

import pytest
from flask import Flask, session
from sqlalchemy import Engine, text

from billing.errors import AlreadyExists, InvalidArgument
from webapp.identity import passwords, sessions, user_changes, users
from webapp.identity.roles import Role
from webapp.identity.sessions import RequireTotp, SessionNotFound
from webapp.identity.user_changes import BY_A_COMMAND
from webapp.identity.users import User

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def ada(engine: Engine) -> User:
    user_changes.create(engine, email="Ada@Example.com", password=PASSWORD, role=Role.OPERATOR)
    return users.by_email(engine, "ada@example.com")


class TestUsers:
    def test_addresses_are_kept_in_lower_case_and_found_in_any(self, engine: Engine, ada: User):
        assert users.verified(engine, " ADA@example.COM ", PASSWORD).email == ada.email

    @pytest.mark.parametrize("typed", ["ada@exam\0ple.com", "\0 ADA@example.com", "ada@example.com \0 "])
    def test_all_that_finds_somebody_is_counted_as_one(self, engine: Engine, ada: User, typed: str):
        assert users.verified(engine, typed, PASSWORD).email == users.by_email(engine, typed).email == ada.email
        assert users.as_kept(typed) == ada.email

    def test_a_password_is_hashed_before_others_have_to_wait(self, engine: Engine, ada: User, monkeypatch):
        held: list[int] = []
        hash_password = passwords.hash_password

        def hash_and_look(*args: str, **kwargs: str) -> str:
            with engine.connect() as connection:
                locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                held.append(connection.execute(text(locks)).scalar_one())
            return hash_password(*args, **kwargs)

        monkeypatch.setattr(passwords, "hash_password", hash_and_look)
        user_changes.reset_password(engine, BY_A_COMMAND, ada.id, PASSWORD)

        assert held == [0]

    def test_an_address_is_taken_once(self, engine: Engine, ada: User):
        with pytest.raises(AlreadyExists):
            user_changes.create(engine, email="ADA@EXAMPLE.COM", password=PASSWORD, role=Role.VIEWER)

    @pytest.mark.parametrize("email", ["", "nobody", "a b@c.example", "@"])
    def test_what_is_no_address_is_refused(self, engine: Engine, email: str):
        with pytest.raises(InvalidArgument):
            user_changes.create(engine, email=email, password=PASSWORD, role=Role.VIEWER)

    def test_an_unknown_address_and_a_wrong_password_take_equally_long(self, engine: Engine, ada: User):
        def seconds(email: str) -> float:
            """Of the processor, of which other work on the machine takes nothing away."""
            began = time.process_time()
            assert users.verified(engine, email, "wrong password") is None
            return time.process_time() - began

        seconds(ada.email)
        wrong, unknown = (min(seconds(email) for _ in range(3)) for email in (ada.email, "nobody@example.com"))
        assert unknown > 0.5 * wrong

    def test_both_are_verified_once(self, engine: Engine, ada: User, monkeypatch: pytest.MonkeyPatch):
        verified: list[str] = []
        verify = passwords._hasher.verify

        class Counting:
            def verify(self, hashed: str, password: str) -> bool:
                verified.append(password)
                return verify(hashed, password)

            def __getattr__(self, name: str) -> object:
                return getattr(type(passwords._hasher), name)

        passwords._nobodys_hash()
        monkeypatch.setattr(passwords, "_hasher", Counting())
        users.verified(engine, ada.email, "wrong, of somebody known")
        users.verified(engine, "nobody@example.com", "wrong, of nobody")

        assert verified == ["wrong, of somebody known", "wrong, of nobody"]

    def test_a_disabled_user_is_nobody(self, engine: Engine):
        user_changes.create(engine, email="gone@example.com", password=PASSWORD, role=Role.ADMIN)
        with engine.begin() as connection:
            connection.execute(text("UPDATE users SET disabled_at = now() WHERE email = 'gone@example.com'"))

        assert users.verified(engine, "gone@example.com", PASSWORD) is None


class TestSessions:
    @pytest.fixture
    def browser(self, app: Flask):
        with app.test_request_context("/"):
            yield

    def test_one_is_of_its_user(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)

        caller = sessions.authenticate(engine)
        assert (caller.actor.name, caller.role) == (ada.email, Role.OPERATOR)

    def test_signing_out_ends_it_also_for_who_copied_the_cookie(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)
        copied = dict(session)

        sessions.sign_out(engine)
        session.update(copied)

        assert sessions.authenticate(engine) is None

    def test_each_has_a_token_of_its_own_and_nothing_of_the_one_before(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)
        first = dict(session)
        session["csrf_token"] = "planted"

        sessions.start(engine, ada)

        assert session["token"] != first["token"]
        assert "csrf_token" not in session
        session.update(first)
        assert sessions.authenticate(engine) is None

    def test_the_token_is_kept_as_its_hash_alone(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)

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
    def test_it_ends_after_twelve_idle_hours_or_seven_days(self, engine: Engine, ada: User, browser, change: str):
        sessions.start(engine, ada)
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE sessions SET {change}"))

        assert sessions.authenticate(engine) is None
        assert sessions.last_user(engine) == ada.email

    def test_a_page_that_asks_by_itself_keeps_none_from_ending(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)
        with engine.begin() as connection:
            connection.execute(text("UPDATE sessions SET last_seen_at = now() - interval '1 hour'"))

        def seen_s_ago() -> float:
            with engine.connect() as connection:
                ago = "SELECT extract(epoch FROM now() - max(last_seen_at)) FROM sessions"
                return float(connection.execute(text(ago)).scalar_one())

        assert sessions.authenticate(engine, is_sighting=False).account_id == ada.id
        assert seen_s_ago() >= 3_600
        sessions.authenticate(engine)
        assert seen_s_ago() < 60

    def test_it_lasts_seven_days_at_most(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada)
        with engine.connect() as connection:
            days = connection.execute(text("SELECT max(expires_at) - now() FROM sessions")).scalar_one()
        assert days <= sessions.LONGEST

    @pytest.mark.parametrize("token", [5, None, "", "x" * 5000, "é"])
    def test_another_token_is_nobodys(self, engine: Engine, browser, token):
        session["token"] = token

        assert sessions.authenticate(engine) is None
        assert sessions.halfway(engine) is None

    def test_one_that_awaits_a_code_opens_nothing(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada, awaits_code=True)

        assert sessions.authenticate(engine) is None
        assert sessions.halfway(engine).account_id == ada.id

    def test_and_awaits_it_for_ten_minutes(self, engine: Engine, ada: User, browser):
        sessions.start(engine, ada, awaits_code=True)
        with engine.begin() as connection:
            connection.execute(text("UPDATE sessions SET expires_at = expires_at - interval '10 minutes'"))

        assert sessions.halfway(engine) is None

    def test_the_own_ones_are_listed_and_nobody_elses_is_ended(self, engine: Engine, ada: User, browser):
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM sessions"))
        sessions.start(engine, ada, browser="Firefox on Linux")
        session.clear()
        sessions.start(engine, ada, browser="Safari on iPhone")
        this = sessions.authenticate(engine).session_id

        own = sessions.of_user(engine, ada.id, this=this)
        assert [(one.browser, one.is_this_one) for one in own] == [
            ("Safari on iPhone", True),
            ("Firefox on Linux", False),
        ]
        with pytest.raises(SessionNotFound):
            sessions.end(engine, uuid4(), own[1].id)
        sessions.end_others(engine, ada.id, but=this)
        assert len(sessions.of_user(engine, ada.id, this=this)) == 1

    @pytest.mark.parametrize(
        ("required", "role", "must"),
        [
            (RequireTotp.NOBODY, Role.ADMIN, False),
            (RequireTotp.ADMINS, Role.OPERATOR, False),
            (RequireTotp.ADMINS, Role.ADMIN, True),
            (RequireTotp.EVERYBODY, Role.VIEWER, True),
        ],
    )
    def test_who_needs_a_second_factor_is_told_so(self, engine: Engine, browser, required, role, must):
        email = f"{uuid4().hex}@example.com"
        user_changes.create(engine, email=email, password=PASSWORD, role=role)
        sessions.start(engine, users.by_email(engine, email))

        assert sessions.authenticate(engine, required).must_enrol is must
