"""One's own account: password, second factor, browsers that are signed in."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from billing.ledger import events
from tests.support.authenticator import ACCOUNT, code, enrolled, stop_the_clock
from tests.support.visitor import PASSWORD, Visitor
from webapp.identity import passwords, user_changes, users
from webapp.identity.roles import Role

NEW = "another long password"


@pytest.fixture(autouse=True)
def nobody_has_tried_before(engine):
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE attempts"))


@pytest.fixture(autouse=True)
def codes_of_one_moment(monkeypatch):
    stop_the_clock(monkeypatch)


@pytest.fixture
def email(engine):
    email = f"{uuid4().hex[:8]}@example.com"
    user_changes.create(engine, email=email, password=PASSWORD, role=Role.ADMIN)
    return email


@pytest.fixture
def somebody(app, email):
    return Visitor(app.test_client()).signed_in(email)


def with_password(app, email):
    """A browser that has given the password and is asked for a code."""
    visitor = Visitor(app.test_client())
    form = visitor.open("/session/new").form("/session")
    visitor.send("/session", {**form, "email": email, "password": PASSWORD, "next": "/rates"}, status=303)
    assert visitor.went_to == "/session/code?next=/rates"
    return visitor, visitor.open(visitor.went_to).form("/session/code")


class TestPassword:
    def test_a_new_one_ends_the_other_sessions(self, app, engine, email, somebody):
        elsewhere = Visitor(app.test_client()).signed_in(email)
        typed = {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        page = somebody.submit(ACCOUNT, f"{ACCOUNT}/password", **typed)

        assert "Your password is changed" in page.text
        assert users.verified(engine, email, NEW)
        assert elsewhere.client.get("/bills").status_code == 303

    @pytest.mark.parametrize(
        ("typed", "field", "sentence"),
        [
            ({"old_password": "wrong"}, "old_password", "This isn't your password."),
            ({"new_password_again": "other"}, "new_password_again", "The two don't agree."),
            ({"new_password": "short", "new_password_again": "short"}, "new_password", "at least 12"),
            ({"new_password": "password1234", "new_password_again": "password1234"}, "new_password", "guessed first"),
        ],
    )
    def test_what_is_wrong_is_said_and_changes_nothing(self, engine, email, somebody, typed, field, sentence):
        good = {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        page = somebody.submit(ACCOUNT, f"{ACCOUNT}/password", **{**good, **typed})

        assert somebody.answer.status_code == 400
        assert sentence in page.id(f"field-{field}-error").text
        assert users.verified(engine, email, PASSWORD)

    def test_who_clicks_twice_is_told_the_same_twice(self, app, engine, email, somebody):
        form = somebody.open(ACCOUNT).form(f"{ACCOUNT}/password")
        typed = {**form, "old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        for _ in range(2):
            somebody.send(f"{ACCOUNT}/password", typed, status=303)

        assert users.verified(engine, email, NEW)
        logged = events.of_subject(engine, users.by_email(engine, email).id, after_version=0, limit=9)
        assert [event.type for event in logged] == ["user.created", "user.password_changed"]

    def test_but_no_other_password_is_taken_for_a_repeat(self, engine, email, somebody):
        form = somebody.open(ACCOUNT).form(f"{ACCOUNT}/password")
        typed = {**form, "old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        somebody.send(f"{ACCOUNT}/password", typed, status=303)
        other = {"new_password": "something else again", "new_password_again": "something else again"}
        page = somebody.send(f"{ACCOUNT}/password", {**typed, **other}, status=400)

        assert "This isn't your password." in page.id("field-old_password-error").text
        assert users.verified(engine, email, NEW)

    def test_it_is_hashed_before_others_have_to_wait(self, engine, email, somebody, monkeypatch):
        held = []
        hash_password = passwords.hash_password

        def hash_and_look(*args, **kwargs):
            with engine.connect() as connection:
                locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                held.append(connection.execute(text(locks)).scalar_one())
            return hash_password(*args, **kwargs)

        monkeypatch.setattr(passwords, "hash_password", hash_and_look)
        typed = {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        somebody.submit(ACCOUNT, f"{ACCOUNT}/password", **typed)
        assert held == [0]

    def test_guessing_it_is_limited(self, somebody):
        for _ in range(8):
            somebody.submit(
                ACCOUNT, f"{ACCOUNT}/password", old_password="wrong", new_password=NEW, new_password_again=NEW
            )
        typed = {"old_password": PASSWORD, "new_password": NEW, "new_password_again": NEW}
        somebody.submit(ACCOUNT, f"{ACCOUNT}/password", **typed)
        assert somebody.answer.status_code == 429


class TestSecondFactor:
    def test_it_is_asked_for_after_the_password_and_signs_in(self, app, email, somebody):
        secret, _ = enrolled(somebody)
        visitor, form = with_password(app, email)
        assert visitor.client.get("/bills").status_code == 303
        token = visitor.client.get_cookie("session").value

        visitor.send("/session/code", {**form, "code": code(secret)}, status=303)
        assert visitor.went_to == "/rates"
        assert visitor.client.get_cookie("session").value != token
        assert visitor.client.get("/bills").status_code == 200
        visitor.client.set_cookie("session", token)
        assert visitor.client.get("/bills").status_code == 303

    def test_a_code_counts_once(self, app, email, somebody):
        secret, _ = enrolled(somebody)
        first, form = with_password(app, email)
        second, form_of_second = with_password(app, email)
        taken = code(secret)
        first.send("/session/code", {**form, "code": taken}, status=303)
        page = second.send("/session/code", {**form_of_second, "code": taken}, status=401)

        assert "used before" in page.id("sign-in-code-error").text
        second.send("/session/code", {**form_of_second, "code": code(secret, steps=1)}, status=303)

    def test_clocks_may_differ_by_one_step_and_no_more(self, app, email, somebody):
        secret, _ = enrolled(somebody)
        visitor, form = with_password(app, email)
        for steps in (-3, 3):
            visitor.send("/session/code", {**form, "code": code(secret, steps=steps)}, status=401)
        visitor.send("/session/code", {**form, "code": code(secret, steps=1)}, status=303)

    def test_guessing_it_is_limited_and_the_right_one_waits(self, app, email, somebody):
        secret, _ = enrolled(somebody)
        visitor, form = with_password(app, email)
        for _ in range(5):
            visitor.send("/session/code", {**form, "code": "000000"}, status=401)
        visitor.send("/session/code", {**form, "code": code(secret)}, status=429)
        assert int(visitor.answer.headers["Retry-After"]) > 0

    def test_a_recovery_code_signs_in_once(self, app, email, somebody):
        _, codes = enrolled(somebody)
        assert len(set(codes)) == 10
        visitor, form = with_password(app, email)
        visitor.send("/session/code", {**form, "code": codes[3].upper()}, status=303)
        assert "9 of 10 left" in visitor.open(ACCOUNT).text

        again, form = with_password(app, email)
        again.send("/session/code", {**form, "code": codes[3]}, status=401)

    def test_recovery_codes_are_shown_once_and_new_ones_replace_them(self, app, email, somebody):
        _, codes = enrolled(somebody)
        assert not somebody.open(f"{ACCOUNT}/recovery-codes").has("shown-codes")
        page = somebody.submit(f"{ACCOUNT}/recovery-codes", f"{ACCOUNT}/recovery-codes", password=PASSWORD)
        new = page.id("shown-codes").text.split()

        visitor, form = with_password(app, email)
        visitor.send("/session/code", {**form, "code": codes[0]}, status=401)
        visitor.send("/session/code", {**form, "code": new[0]}, status=303)

    def test_a_wrong_code_sets_nothing_up_and_keeps_the_secret(self, somebody):
        page = somebody.open(f"{ACCOUNT}/second-factor/new")
        form = page.form(f"{ACCOUNT}/second-factor")
        again = somebody.send(f"{ACCOUNT}/second-factor", {**form, "code": "000000"}, status=400)

        assert again.id("shown-secret").text == page.id("shown-secret").text
        assert again.id("field-code-error").text
        assert "Off" in somebody.open(ACCOUNT).text

    def test_nobody_elses_secret_is_taken(self, app, somebody, operator):
        page = operator.open(f"{ACCOUNT}/second-factor/new")
        secret = page.id("shown-secret").text.replace(" ", "")
        form = somebody.open(f"{ACCOUNT}/second-factor/new").form(f"{ACCOUNT}/second-factor")
        planted = {**form, "offer": page.form(f"{ACCOUNT}/second-factor")["offer"], "code": code(secret)}
        somebody.send(f"{ACCOUNT}/second-factor", planted, status=400)

    def test_the_database_alone_makes_no_codes(self, engine, email, somebody):
        secret, codes = enrolled(somebody)
        with engine.connect() as connection:
            stored = connection.execute(text("SELECT string_agg(f::text, '') FROM second_factors f")).scalar_one()
            stored += connection.execute(text("SELECT string_agg(c::text, '') FROM recovery_codes c")).scalar_one()
            stored += connection.execute(text("SELECT string_agg(e::text, '') FROM events e")).scalar_one()
        assert secret not in stored
        assert not [one for one in codes if one in stored or one.replace("-", "") in stored]

    def test_removing_it_needs_the_password(self, app, engine, email, somebody):
        enrolled(somebody)
        removal = f"{ACCOUNT}/second-factor/removal"
        page = somebody.submit(removal, removal, password="wrong")
        assert "This isn't your password." in page.text
        somebody.submit(removal, removal, password=PASSWORD)

        Visitor(app.test_client()).signed_in(email)
        user = users.by_email(engine, email)
        assert [event.type for event in events.of_subject(engine, user.id, after_version=0, limit=9)] == [
            "user.created",
            "user.second_factor_added",
            "user.second_factor_removed",
        ]

    def test_an_administrator_takes_away_that_of_somebody_who_lost_it(self, app, admin, engine, email, somebody):
        enrolled(somebody)
        user = users.by_email(engine, email)
        admin.submit(f"/settings/users/{user.id}", f"/settings/users/{user.id}/second-factor/end")

        assert somebody.client.get("/bills").status_code == 303
        Visitor(app.test_client()).signed_in(email)

    def test_ten_minutes_after_the_password_it_begins_anew(self, app, engine, email, somebody):
        secret, _ = enrolled(somebody)
        visitor, form = with_password(app, email)
        with engine.begin() as connection:
            connection.execute(text("UPDATE sessions SET expires_at = now() WHERE awaits_code"))
        page = visitor.send("/session/code", {**form, "code": code(secret)}, status=401)
        assert "Sign in again" in page.with_class("problem")[0].text


class TestSessions:
    def test_one_sees_and_ends_ones_own(self, app, email, somebody):
        elsewhere = Visitor(app.test_client())
        elsewhere.client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (Macintosh; Mac OS X 10_15) Firefox/140.0"
        elsewhere.signed_in(email)
        page = somebody.open(ACCOUNT)
        rows = [e for e in page.all("li") if e.attributes.get("id", "").startswith("session-")]
        assert "This one" in rows[0].text
        assert rows[1].text.startswith("Firefox on macOS")

        action = rows[1].all("form")[0].attributes["action"]
        somebody.submit(ACCOUNT, action)
        assert elsewhere.client.get("/bills").status_code == 303
        assert somebody.client.get("/bills").status_code == 200

    def test_or_all_others(self, app, email, somebody):
        others = [Visitor(app.test_client()).signed_in(email) for _ in range(2)]
        somebody.submit(ACCOUNT, f"{ACCOUNT}/sessions/end")
        assert [other.client.get("/bills").status_code for other in others] == [303, 303]
        assert somebody.client.get("/bills").status_code == 200

    def test_ending_this_one_signs_out(self, somebody):
        page = somebody.open(ACCOUNT)
        own = next(e for e in page.all("li") if "This one" in e.text)
        somebody.send(own.all("form")[0].attributes["action"], page.form(own.all("form")[0].attributes["action"]))
        assert somebody.went_to == "/session/new"

    def test_nobody_elses_is_ended(self, app, engine, operator, somebody, accounts):
        form = somebody.open(ACCOUNT).form("/session/end")
        theirs = operator.open(ACCOUNT)
        own = next(e for e in theirs.all("li") if "This one" in e.text)
        somebody.send(own.all("form")[0].attributes["action"], {**form, "idempotency_key": "k"}, status=404)
        assert operator.client.get("/bills").status_code == 200
