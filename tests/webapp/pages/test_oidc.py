"""Signing in by an OpenID Connect provider: a real one, in a process beside the tests."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import text

from billing.ledger import events
from tests.support.oidc_provider import oidc_provider
from tests.support.visitor import PASSWORD, Visitor
from webapp.identity import user_changes, users
from webapp.identity.roles import Role


@pytest.fixture(scope="module")
def provider():
    with oidc_provider() as running:
        yield running


@pytest.fixture(scope="module")
def app(make_app, config, provider):
    return make_app(replace(config, oidc=provider.settings))


@pytest.fixture
def ann(provider):
    """Somebody of the provider's: subject and claims."""
    subject = f"ann-{uuid4().hex[:8]}"
    claims = {"email": f"{subject}@example.com", "email_verified": True, "groups": ["staff", "finance"]}
    provider.knows(subject, **claims)
    return subject, claims


def through(visitor, provider, subject, *, status=303, next_="/rates"):
    """There, signing in, and back."""
    visitor.answer = visitor.client.get(f"/session/provider/new?next={next_}")
    assert visitor.answer.status_code == 302
    back = urlsplit(provider.signs_in(visitor.answer.headers["Location"], subject))
    visitor.answer = visitor.client.get(f"{back.path}?{back.query}")
    assert visitor.answer.status_code == status, visitor.answer.text
    return visitor


def refusal(visitor, provider, subject):
    through(visitor, provider, subject, status=403)
    from tests.support.page import parse

    return parse(visitor.answer.text).with_class("problem")[0].text


def test_the_sign_in_page_offers_it(visitor):
    link = next(e for e in visitor.open("/session/new?next=/rates").all("a") if "Example Login" in e.text)
    assert link.text == "Sign in with Example Login"
    assert link.attributes["href"] == "/session/provider/new?next=/rates"


def test_it_is_asked_with_state_nonce_and_a_challenge(visitor, provider):
    answer = visitor.client.get("/session/provider/new")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert asked["redirect_uri"] == "http://localhost:8000/session/provider"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert set(asked["scope"].split()) >= {"openid", "email"}
    assert asked["state"]
    assert asked["nonce"]
    assert asked["code_challenge"]


def test_from_test_mode_it_is_the_same_way_and_leads_back_there(visitor, provider, ann):
    answer = visitor.client.get("/test/session/provider/new")
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert asked["redirect_uri"] == ["http://localhost:8000/session/provider"]
    for given, led in (("", "/test/"), ("?next=/test/bills", "/test/bills")):
        there = visitor.client.get(f"/test/session/provider/new{given}").headers["Location"]
        back = urlsplit(provider.signs_in(there, ann[0]))
        assert visitor.client.get(f"{back.path}?{back.query}").headers["Location"] == led


def test_the_first_time_makes_a_user_with_the_role_of_the_claim(visitor, provider, engine, ann):
    through(visitor, provider, ann[0])
    assert visitor.went_to == "/rates"
    assert visitor.client.get("/bills/new").status_code == 200
    assert visitor.client.get("/settings/users").status_code == 403

    user = users.by_email(engine, ann[1]["email"])
    assert (user.role, user.has_password, user.with_provider) == (Role.OPERATOR, False, True)
    (event,) = events.of_subject(engine, user.id, after_version=0, limit=9)
    assert (event.type, event.data) == ("user.created", {"role": "operator", "by_provider": True})


def test_the_role_follows_the_claim_every_time(visitor, provider, engine, ann):
    subject, claims = ann
    through(visitor, provider, subject)
    provider.knows(subject, **{**claims, "groups": ["auditors", "it"]})
    through(visitor, provider, subject)

    assert users.by_email(engine, claims["email"]).role is Role.ADMIN
    assert visitor.client.get("/settings/users").status_code == 200


def test_a_session_begins_under_a_new_token(visitor, provider, ann):
    visitor.open("/session/new")
    before = visitor.client.get_cookie("session").value
    through(visitor, provider, ann[0])
    after = visitor.client.get_cookie("session").value
    visitor.client.set_cookie("session", before)
    assert after != before
    assert visitor.client.get("/bills").status_code == 303


def test_a_password_doesnt_open_what_the_provider_does(app, visitor, provider, ann):
    through(visitor, provider, ann[0])
    other = Visitor(app.test_client())
    form = other.open("/session/new").form("/session")
    for password in ("", "None", PASSWORD):
        other.send("/session", {**form, "email": ann[1]["email"], "password": password}, status=401)


@pytest.mark.parametrize("groups", [None, [], "nobody", ["cleaners"], {"it": True}, 7])
def test_without_a_known_role_nobody_comes_in(visitor, provider, engine, ann, groups):
    subject, claims = ann
    provider.knows(subject, **{**claims, "groups": groups})
    assert "gives you no role here" in refusal(visitor, provider, subject)
    with pytest.raises(users.UserNotFound):
        users.by_email(engine, claims["email"])


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_nor_without_a_verified_address(visitor, provider, ann, verified):
    subject, claims = ann
    provider.knows(subject, **{**claims, "email_verified": verified})
    assert "isn't verified" in refusal(visitor, provider, subject)


def test_a_user_of_the_same_address_is_taken_over_once(app, visitor, provider, engine, ann):
    subject, claims = ann
    user_changes.create(engine, email=claims["email"], password=PASSWORD, role=Role.VIEWER)
    through(visitor, provider, subject)

    user = users.by_email(engine, claims["email"])
    assert (user.role, user.with_provider, user.has_password) == (Role.OPERATOR, True, True)
    provider.knows(f"{subject}-2", **claims)
    assert "belongs to another account" in refusal(Visitor(app.test_client()), provider, f"{subject}-2")


def test_somebody_is_the_same_under_a_new_address(visitor, provider, engine, ann):
    subject, claims = ann
    through(visitor, provider, subject)
    provider.knows(subject, **{**claims, "email": f"new-{claims['email']}"})
    through(visitor, provider, subject)

    assert users.by_email(engine, claims["email"]).last_seen_at
    with pytest.raises(users.UserNotFound):
        users.by_email(engine, f"new-{claims['email']}")


def test_a_disabled_user_stays_out(visitor, provider, engine, ann, origin):
    through(visitor, provider, ann[0])
    user_changes.disable(engine, origin, users.by_email(engine, ann[1]["email"]).id)
    assert "disabled" in refusal(visitor, provider, ann[0])


def test_who_says_no_there_comes_back_to_the_sign_in_page(visitor, provider):
    visitor.answer = visitor.client.get("/session/provider/new?next=/rates")
    back = urlsplit(provider.denies(visitor.answer.headers["Location"]))
    page = visitor.open(f"{back.path}?{back.query}", status=403)
    assert "not completed" in page.with_class("problem")[0].text
    assert page.form("/session")["next"] == "/rates"


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=y", "?error=access_denied&state=y"])
def test_an_answer_nobody_asked_for_signs_nobody_in(visitor, query):
    visitor.open(f"/session/provider{query}", status=403)
    assert visitor.client.get("/bills").status_code == 303


def test_an_answer_counts_in_the_browser_that_asked_and_once(app, visitor, provider, ann):
    visitor.answer = visitor.client.get("/session/provider/new")
    back = urlsplit(provider.signs_in(visitor.answer.headers["Location"], ann[0]))
    address = f"{back.path}?{back.query}"
    assert Visitor(app.test_client()).client.get(address).status_code == 403
    assert visitor.client.get(address).status_code == 303
    assert visitor.client.get(address).status_code == 403


def test_one_that_was_begun_often_and_left_still_works(visitor, provider, ann):
    for _ in range(12):
        visitor.client.get("/session/provider/new")
    assert len(visitor.client.get_cookie("session").value) < 2_500
    through(visitor, provider, ann[0])


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example"])
def test_it_leads_to_no_other_host(visitor, provider, ann, address):
    through(visitor, provider, ann[0], next_=address)
    assert visitor.went_to == "/"


def test_no_second_factor_is_asked_for_the_provider_sees_to_its_own(engine, visitor, provider, ann):
    through(visitor, provider, ann[0])
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO second_factors SELECT id, 'sealed', 0 FROM users WHERE email = :email"),
            {"email": ann[1]["email"]},
        )
    through(visitor, provider, ann[0])
    assert visitor.client.get("/bills").status_code == 200


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1", "http://localhost:1"])
def test_a_provider_that_is_down_is_a_calm_page(make_app, config, provider, issuer):
    down = make_app(replace(config, oidc=replace(provider.settings, issuer=issuer)))
    visitor = Visitor(down.test_client())
    for path in ("/session/provider/new?next=/rates", "/session/provider?code=x&state=y"):
        page = visitor.open(path, status=503)
        assert "Example Login can't be reached" in page.with_class("problem")[0].text
        assert visitor.answer.headers["Retry-After"] == "10"
        assert page.id("sign-in-password")


def test_one_that_calls_itself_otherwise_is_not_believed(make_app, config, provider):
    elsewhere = provider.issuer.replace("127.0.0.1", "localhost") + "/."
    app = make_app(replace(config, oidc=replace(provider.settings, issuer=elsewhere)))
    Visitor(app.test_client()).open("/session/provider/new", status=503)


def test_where_none_is_configured_there_is_none(make_app, config):
    visitor = Visitor(make_app(config).test_client())
    assert "Sign in with" not in visitor.open("/session/new").text
    visitor.open("/session/provider/new", status=404)
    visitor.open("/session/provider?code=x&state=y", status=404)
