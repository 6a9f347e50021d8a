from __future__ import annotations

import json
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from webapp.config import Config


@pytest.mark.parametrize(
    "path",
    [
        "/healthz", "/session/new", "/bills", "/nothing", "/session/end", "/b/unknown", "/docs", "/static/nothing.css",
        "/api/v1/bills", "/api/v1/nothing", "/api/v1/openapi.json", "/assets/0/htmx.js", "/assets/0/nothing.js",
    ],
)  # fmt: skip
def test_every_answer_says_what_a_browser_may_do_with_it(client: FlaskClient, path: str):
    """What Mozilla's HTTP Observatory gives points for; bin/observatory asks it."""
    answer = client.get(path)
    headers = answer.headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == ("no-referrer" if path.startswith("/b/") else "same-origin")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    # What the API is like, anybody's page may read.
    assert ("Access-Control-Allow-Origin" in headers) == (path == "/api/v1/openapi.json")
    assert "Access-Control-Allow-Credentials" not in headers
    assert headers["X-Request-Id"]
    answer.close()


@pytest.mark.parametrize("path", ["/api/v1/bills", "/bills", "/session/new", "/settings/api-keys", "/b/nothing"])
def test_private_answers_are_not_stored(client: FlaskClient, path: str):
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_cookies_are_bound_to_the_host_under_https(config: Config, make_app):
    app = make_app(replace(config, public_url="https://billing.example"))

    assert app.config["SESSION_COOKIE_NAME"] == "__Host-session"
    assert app.config["SESSION_COOKIE_SECURE"] is True


def test_who_came_by_tls_comes_back_by_it_for_a_year(config: Config, make_app):
    app = make_app(replace(config, public_url="https://billing.example"))

    assert app.test_client().get("/healthz").headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("address", "name", "flags"),
    [
        ("https://localhost", "__Host-session", {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"}),
        ("http://localhost", "session", {"HttpOnly", "Path=/", "SameSite=Lax"}),
    ],
)
def test_no_script_reads_the_cookie_and_no_other_site_sends_it(config: Config, make_app, address, name, flags):
    answer = make_app(replace(config, public_url=address)).test_client().get("/session/new", base_url=address)

    (cookie,) = answer.headers.getlist("Set-Cookie")
    given, *attributes = cookie.split("; ")
    assert given.startswith(f"{name}=")
    assert set(attributes) == flags


def test_no_page_is_shown_within_another_and_nothing_runs_that_isnt_ours(client: FlaskClient):
    policy = dict(
        part.split(" ", 1) for part in client.get("/session/new").headers["Content-Security-Policy"].split("; ")
    )
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"


@pytest.fixture(scope="module")
def there(config: Config, make_app) -> FlaskClient:
    own = replace(config, public_url="https://billing.example", other_hosts=("web",))
    return make_app(own).test_client()


class TestTheNameWeAreCalledBy:
    @pytest.mark.parametrize("path", ["/session/new", "/bills", "/api/v1/bills", "/api/v1/nothing", "/static/mark.svg"])
    @pytest.mark.parametrize("host", ["evil.example", "billing.example.evil", "evil.example:443", "", "[::1", "a@b"])
    def test_another_is_refused_before_anything_is_looked_at(self, there: FlaskClient, path: str, host: str):
        assert there.get(path, headers={"Host": host}).status_code == 400

    @pytest.mark.parametrize(
        "host",
        ["billing.example", "BILLING.example:443", "web", "web:8000", "localhost:8000", "127.0.0.1", "[::1]:8000"],
    )
    def test_ours_in_any_spelling_is_not(self, there: FlaskClient, host: str):
        assert there.get("/api/v1/bills", headers={"Host": host}).status_code == 401
        assert there.get("/session/new", headers={"Host": host}).status_code == 200

    def test_what_a_proxy_says_counts_for_nothing(self, there: FlaskClient):
        forwarded = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
        answer = there.get("/bills", headers={"Host": "billing.example", **forwarded})
        assert answer.headers["Location"].startswith("/session/new")
        assert "evil" not in str(answer.headers)

    def test_who_looks_whether_it_lives_may_use_any(self, there: FlaskClient):
        assert there.get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200

    def test_in_a_link_of_a_customer_it_is_a_link_that_leads_nowhere(self, there: FlaskClient):
        assert there.get("/b/" + "A" * 64, headers={"Host": "evil.example"}).status_code == 404


def test_a_request_is_logged_by_its_route_and_without_what_it_says(config: Config, make_app, capsys):
    app = make_app(replace(config, log_level="INFO"))

    app.test_client().get("/api/v1/customers/hung?q=personal", headers={"Authorization": "Bearer pave_secret"})
    make_app(config)

    logged = capsys.readouterr().err
    (line,) = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert (line["route"], line["status"]) == ("/api/v1/customers/<any_text:customer_id>", 401)
    assert not [word for word in ("hung", "personal", "pave_secret") if word in logged]
