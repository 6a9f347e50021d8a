from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.support.page import parse
from tests.support.visitor import PASSWORD, Visitor
from webapp.identity import attempts, passwords, signing_in, user_changes, users
from webapp.identity.roles import Role
from webapp.pages.rendering import local_path


def sign_in(visitor, email, password, next_="/bills"):
    form = visitor.open("/session/new").form("/session")
    return visitor.send("/session", {**form, "email": email, "password": password, "next": next_})


@pytest.fixture(autouse=True)
def nobody_has_tried_before(engine):
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE attempts"))


def test_who_isnt_signed_in_is_sent_to_the_sign_in_page_and_back(visitor, accounts):
    visitor.answer = visitor.client.get("/bills?status=open")
    assert visitor.went_to == "/session/new?next=/bills?status%3Dopen"
    page = visitor.open(visitor.went_to)
    sign_in(visitor, accounts[Role.VIEWER], PASSWORD, page.form("/session")["next"])
    assert visitor.went_to == "/bills?status=open"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(visitor, accounts):
    wrong = sign_in(visitor, accounts[Role.VIEWER], "not the password")
    assert visitor.answer.status_code == 401
    unknown = sign_in(visitor, "nobody@example.com", "not the password")
    assert visitor.answer.status_code == 401
    assert [e.text for e in wrong.with_class("problem")] == [e.text for e in unknown.with_class("problem")] != []
    assert wrong.id("sign-in-email").attributes["value"] == accounts[Role.VIEWER]


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", "/\t/evil"]
)
def test_signing_in_leads_to_no_other_host(visitor, accounts, address):
    assert local_path(address) is None
    sign_in(visitor, accounts[Role.VIEWER], PASSWORD, address)
    assert visitor.went_to == "/"


def test_signing_out_ends_the_session_and_not_only_the_cookie(operator):
    cookie = operator.client.get_cookie("session").value
    operator.submit("/bills", "/session/end")
    operator.client.set_cookie("session", cookie)
    operator.answer = operator.client.get("/bills")
    assert operator.went_to.startswith("/session/new")


def test_signing_out_leaves_nothing_in_the_browser(operator):
    form = operator.open("/bills").form("/session/end")
    operator.send("/session/end", form, status=303)
    (cookie,) = operator.answer.headers.getlist("Set-Cookie")
    assert cookie.startswith("session=;")
    assert "Max-Age=0" in cookie
    assert operator.client.get_cookie("session") is None
    assert operator.answer.headers["Clear-Site-Data"] == '"cache"'


def test_a_form_without_its_token_changes_nothing_and_says_so(operator):
    page = operator.send("/bills", {"customer_id": "x", "idempotency_key": "k"}, status=400)
    assert "too old" in page.id("error-400").text


def test_a_sign_in_page_that_is_too_old_keeps_the_address(visitor, accounts):
    page = visitor.send("/session", {"email": accounts[Role.VIEWER], "password": PASSWORD}, status=400)
    assert "too old" in page.with_class("problem")[0].text
    assert page.id("sign-in-email").attributes["value"] == accounts[Role.VIEWER]
    assert "correct horse" not in visitor.answer.text


def test_what_isnt_there_is_a_page_without_a_traceback(operator, visitor):
    assert operator.open("/nowhere", status=404).id("error-404")
    assert operator.open("/bills/not-an-id", status=404).id("error-404")
    assert parse(operator.client.put("/bills").text).id("error-405")


class TestTooManyAttempts:
    def test_a_right_password_waits_too_and_what_was_typed_stays(self, visitor, accounts):
        for _ in range(8):
            sign_in(visitor, accounts[Role.VIEWER], "not the password")
            assert visitor.answer.status_code == 401
        page = sign_in(visitor, accounts[Role.VIEWER], PASSWORD)

        assert visitor.answer.status_code == 429
        assert 0 < int(visitor.answer.headers["Retry-After"]) <= 600
        assert "Try again in 10 minutes" in page.with_class("problem")[0].text
        assert page.id("sign-in-email").attributes["value"] == accounts[Role.VIEWER]
        visitor.answer = visitor.client.get("/bills")
        assert visitor.went_to.startswith("/session/new")

    def test_the_same_for_somebody_who_isnt_known(self, visitor):
        for _ in range(8):
            sign_in(visitor, "nobody@example.com", "not the password")
        sign_in(visitor, "nobody@example.com", "not the password")
        assert visitor.answer.status_code == 429

    def test_others_at_the_same_address_come_in(self, app, visitor, accounts):
        for _ in range(9):
            sign_in(visitor, accounts[Role.VIEWER], "not the password")
        Visitor(app.test_client()).signed_in(accounts[Role.OPERATOR])

    def test_nor_does_a_character_that_nobody_sees_begin_anew(self, visitor, accounts):
        for times in range(8):
            sign_in(visitor, accounts[Role.VIEWER] + "\0" * times, "not the password")
        sign_in(visitor, accounts[Role.VIEWER] + "\0" * 8, PASSWORD)
        assert visitor.answer.status_code == 429

    def test_one_network_alone_locks_nobody_out_from_everywhere(self, app, visitor, accounts):
        for _ in range(signing_in.FROM_EVERYWHERE.attempts + 5):
            sign_in(visitor, accounts[Role.VIEWER], "not the password")
        assert visitor.answer.status_code == 429

        elsewhere = Visitor(app.test_client())
        elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
        elsewhere.signed_in(accounts[Role.VIEWER])

    def test_nor_does_it_by_waiting_in_between(self):
        here, everywhere = signing_in.FROM_ONE_NETWORK, signing_in.FROM_EVERYWHERE
        windows = everywhere.window // here.window + 1
        assert here.attempts * windows < everywhere.attempts

    def test_what_there_was_no_room_to_look_at_was_no_attempt(self, visitor, accounts, engine, monkeypatch):
        def busy(*_):
            raise passwords.Busy

        with monkeypatch.context() as patched:
            patched.setattr(passwords, "matches", busy)
            page = sign_in(visitor, accounts[Role.VIEWER], PASSWORD)
        assert visitor.answer.status_code == 429
        assert visitor.answer.headers["Retry-After"] == "5"
        assert "Try again in a few seconds" in page.with_class("problem")[0].text
        assert page.id("sign-in-email").attributes["value"] == accounts[Role.VIEWER]
        with engine.connect() as connection:
            assert connection.execute(text("SELECT sum(count) FROM attempts")).scalar_one() == 0

    def test_and_the_person_from_elsewhere_until_it_is_tried_from_everywhere(self, app, accounts):
        def answer(place):
            elsewhere = Visitor(app.test_client())
            elsewhere.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{place}"
            sign_in(elsewhere, accounts[Role.VIEWER], "not the password")
            return elsewhere.answer.status_code

        most = signing_in.FROM_EVERYWHERE.attempts
        assert [answer(place) for place in range(most + 1)] == [401] * most + [429]

    def test_coming_in_is_no_attempt(self, app, accounts):
        for _ in range(10):
            Visitor(app.test_client()).signed_in(accounts[Role.VIEWER])

    def test_when_it_cant_be_counted_the_page_says_so(self, visitor, accounts, engine):
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE attempts RENAME TO elsewhere"))
        try:
            page = sign_in(visitor, accounts[Role.VIEWER], PASSWORD)
        finally:
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO attempts"))
        assert page.id("error-503")

    def test_what_comes_by_a_proxy_counts_for_who_sent_it(self, make_app, config, accounts):
        app = make_app(replace(config, trusted_proxies=1))
        seen = []
        network = attempts.network
        pytest.MonkeyPatch().setattr(attempts, "network", lambda address: seen.append(address) or network(address))
        try:
            client = app.test_client()
            page = parse(client.get("/session/new").text)
            client.post(
                "/session", data=page.form("/session"), headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
            )
        finally:
            attempts.network = network
        assert seen == ["198.51.100.7"]


def test_who_is_disabled_is_out_at_once(app, engine, accounts, admin):
    user_changes.create(engine, email="leaving@example.com", password=PASSWORD, role=Role.OPERATOR)
    leaving = Visitor(app.test_client()).signed_in("leaving@example.com")
    user = users.by_email(engine, "leaving@example.com")

    admin.submit(f"/settings/users/{user.id}", f"/settings/users/{user.id}/disablement")

    leaving.answer = leaving.client.get("/bills")
    assert leaving.went_to.startswith("/session/new")
    sign_in(leaving, "leaving@example.com", PASSWORD)
    assert leaving.answer.status_code == 401
