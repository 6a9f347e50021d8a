from __future__ import annotations

import json
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from webapp.config import Config


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/bills", "/api/v1/nothing", "/static/nothing.css"])
def test_every_answer_says_what_a_browser_may_do_with_it(client: FlaskClient, path: str):
    headers = client.get(path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Request-Id"]


def test_private_answers_are_not_stored(client: FlaskClient):
    assert client.get("/api/v1/bills").headers["Cache-Control"] == "no-store"


def test_cookies_are_bound_to_the_host_under_https(config: Config, make_app):
    app = make_app(replace(config, public_url="https://billing.example"))

    assert app.config["SESSION_COOKIE_NAME"] == "__Host-session"
    assert app.config["SESSION_COOKIE_SECURE"] is True
    assert "Strict-Transport-Security" in app.test_client().get("/healthz").headers


def test_a_request_is_logged_by_its_route_and_without_what_it_says(config: Config, make_app, capsys):
    app = make_app(replace(config, log_level="INFO"))

    app.test_client().get("/api/v1/customers/hung?q=personal", headers={"Authorization": "Bearer pave_secret"})
    make_app(config)

    logged = capsys.readouterr().err
    (line,) = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert (line["route"], line["status"]) == ("/api/v1/customers/<any_text:customer_id>", 401)
    assert not [word for word in ("hung", "personal", "pave_secret") if word in logged]
