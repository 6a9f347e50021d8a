"""What every answer under a customer's link has in common: who gets it, and what is done with it afterwards."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from tests.support.ledger import OpenBill
from tests.support.sharing import LINES, Sharing
from webapp.config import Config
from webapp.customer.tokens import LENGTH

PLACES = ("", "/changes", "/bill.pdf", "/lines.csv", "/logo", "/stream")


def what_differs(answer):
    """All of an answer but its request id."""
    headers = {name: value for name, value in answer.headers if name != "X-Request-Id"}
    return answer.status_code, headers, answer.data


@pytest.fixture
def dead_ends(sharing: Sharing, open_bill: OpenBill) -> dict[str, str]:
    bill = open_bill()
    sharing.add(bill, *LINES)
    working, revoked = sharing.link(bill), sharing.link(bill)
    sharing.revoke(revoked)
    token = sharing.address_of(working.id)
    return {
        "revoked": sharing.address_of(revoked.id),
        "unknown": sharing.address_of(uuid4()),
        "mistyped": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "cut off": token[:-3],
        "too long": token + "A",
        "made up": "/b/" + "A" * LENGTH,
        "in other letters": f"/b/{'é' * LENGTH}",
    }


@pytest.mark.parametrize("place", PLACES)
def test_revoked_unknown_and_mistyped_links_are_the_same_404(client: FlaskClient, dead_ends: dict[str, str], place):
    answers = {kind: what_differs(client.get(address + place)) for kind, address in dead_ends.items()}
    assert answers["revoked"][0] == 404
    for kind, answer in answers.items():
        assert answer == answers["revoked"], kind


def test_whatever_else_is_tried_is_that_404_too(client: FlaskClient, sharing: Sharing, open_bill: OpenBill, dead_ends):
    address = sharing.address(open_bill())
    expected = what_differs(client.get(dead_ends["revoked"]))
    for method, path in (
        ("GET", "/b/"),
        ("GET", f"{address}/"),
        ("GET", f"{address}/nothing"),
        ("GET", f"{address}/bill.pdf/x"),
        ("POST", address),
        ("DELETE", f"{address}/bill.pdf"),
        ("PUT", "/b/x"),
        ("TRACE", address),
        ("PROPFIND", "/b/abc"),
        ("OPTIONS", address),
        ("GET", "/b"),
        ("POST", "/b"),
    ):
        assert what_differs(client.open(path, method=method)) == expected, (method, path)


def test_htmx_gets_no_other_answer(client: FlaskClient, dead_ends: dict[str, str]):
    expected = what_differs(client.get(dead_ends["revoked"]))
    assert what_differs(client.get(dead_ends["mistyped"], headers={"HX-Request": "true"})) == expected


@pytest.mark.parametrize("place", ["", "/changes", "/bill.pdf", "/lines.csv", "/logo", "/nothing"])
def test_nothing_is_kept_listed_or_told_to_others(client: FlaskClient, sharing: Sharing, open_bill: OpenBill, place):
    bill = open_bill()
    sharing.add(bill, *LINES)
    headers = client.get(sharing.address(bill) + place).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Set-Cookie" not in headers
    assert "ETag" not in headers


def test_the_page_says_so_to_robots_itself(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    page = client.get(sharing.address(open_bill())).text
    assert '<meta name="robots" content="noindex' in page
    assert '<meta name="referrer" content="no-referrer">' in page


def test_a_session_is_neither_read_nor_touched(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    client.get("/session/new")
    assert client.get_cookie("session") is not None
    answer = client.get(sharing.address(open_bill()))
    assert answer.status_code == 200
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert "Set-Cookie" not in answer.headers


def test_one_link_is_revoked_and_another_goes_on(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    first, second = sharing.link(bill), sharing.link(bill)
    sharing.revoke(first)
    assert client.get(sharing.address_of(first.id)).status_code == 404
    assert client.get(sharing.address_of(second.id)).status_code == 200


def test_no_log_has_the_link(config: Config, make_app, sharing: Sharing, open_bill: OpenBill, capsys):
    address = sharing.address(open_bill())
    token = address.removeprefix("/b/")
    visitor = make_app(replace(config, log_level="DEBUG")).test_client()
    try:
        for place in ("", "/changes", "/bill.pdf", "/lines.csv", "/nothing"):
            visitor.get(address + place, headers={"Referer": f"http://localhost{address}"})
        server = logging.getLogger("gunicorn.error")
        server.warning("Error handling request %s", f"{address}?currency=USD")
        server.warning(
            "Invalid request from ip=%(ip)s: %(error)s", {"ip": "::1", "error": ValueError(f"GET {address}")}
        )
        server.warning(f"GET {address}/bill.pdf HTTP/1.1")
    finally:
        make_app(config)
    logged = capsys.readouterr().err
    assert token not in logged
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert next(line["route"] for line in lines if line["event"] == "request") == "/b/<token>"
    assert [line["event"] for line in lines if line.get("logger") == "gunicorn.error"] == [
        "Error handling request /b/[link]?currency=USD",
        "Invalid request from ip=::1: GET /b/[link]",
        "GET /b/[link]/bill.pdf HTTP/1.1",
    ]


def test_nothing_stored_gives_the_link_away(sharing: Sharing, open_bill: OpenBill):
    from sqlalchemy import text

    bill = open_bill()
    token = sharing.address(bill).removeprefix("/b/")
    with sharing.engine.connect() as connection:
        rows = (
            connection.execute(
                text(
                    "SELECT row_to_json(l)::text || (SELECT string_agg(row_to_json(e)::text, '') "
                    "FROM events e WHERE e.subject_id = l.id) FROM share_links l"
                )
            )
            .scalars()
            .all()
        )
    assert rows
    assert not [row for row in rows if token[22:] in row]
