"""Signing in and out."""

import pytest

from tests.support.page import parse
from tests.support.visitor import HTMX, PASSWORD, Visitor
from webapp.identity.roles import Role
from webapp.pages.rendering import local_path


def sign_in(visitor: Visitor, email: str, password: str, next_: str = "/bills"):
    form = visitor.open("/session/new").form("/session")
    return visitor.send("/session", {**form, "email": email, "password": password, "next": next_})


def test_who_isnt_signed_in_is_sent_to_the_sign_in_page_and_back(visitor, accounts):
    visitor.client.get("/bills?status=open")
    visitor.open("/session/new?next=/bills?status%3Dopen")
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
    assert wrong.id("field-email").attributes["value"] == accounts[Role.VIEWER]


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", "/\t/evil"]
)
def test_signing_in_leads_to_no_other_host(visitor, accounts, address):
    assert local_path(address) is None
    sign_in(visitor, accounts[Role.VIEWER], PASSWORD, address)
    assert visitor.went_to == "/bills"


def test_signing_out_ends_the_session_and_not_only_the_cookie(operator):
    cookie = operator.client.get_cookie("session").value
    operator.submit("/bills", "/session/end")
    operator.client.set_cookie("session", cookie)
    operator.answer = operator.client.get("/bills")
    assert operator.went_to.startswith("/session/new")


def test_htmx_is_told_to_go_to_the_sign_in_page_when_the_session_is_over(visitor):
    answer = visitor.client.get("/bills", headers={**HTMX, "HX-Current-URL": "http://localhost/bills?q=x"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/session/new?next=/bills?q%3Dx"


def test_a_form_without_its_token_changes_nothing_and_says_so(operator):
    page = operator.send("/bills", {"customer_id": "x", "idempotency_key": "k"}, status=400)
    assert "too old" in page.id("error-400").text


def test_what_isnt_there_is_a_page_without_a_traceback(operator, visitor):
    assert operator.open("/nowhere", status=404).id("error-404")
    assert operator.open("/bills/not-an-id", status=404).id("error-404")
    assert parse(operator.client.put("/bills").text).id("error-405")
