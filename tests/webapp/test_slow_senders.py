"""Who sends a byte now and then is answered in time, and whoever is in time isn't cut off."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from sqlalchemy import Engine

from tests.support.api import HUNG, Api
from tests.support.connected import HERE, answered
from webapp import slow_senders
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.slow_senders import Deadlines, InTime, TooSlow

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_senders, "BODY_WITHIN_S", 0.5)
    monkeypatch.setattr(slow_senders, "LOOKS_EVERY_S", 0.05)


@pytest.fixture
def api(client: FlaskClient, engine: Engine) -> Api:
    return Api(client, api_keys.create(engine, name="ledger-sync", role=Role.OPERATOR))


class ByteByByte:
    """Sends until somebody has answered, and gives up after some seconds."""

    def __init__(self, *, chunked: bool = False) -> None:
        self.answered = threading.Event()
        self._byte = b"1\r\nx\r\n" if chunked else b"x"

    def __call__(self, to: socket.socket) -> None:
        for _ in range(300):
            if self.answered.wait(0.02):
                return
            to.sendall(self._byte)
        to.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_call_of_the_api(app: Flask, api: Api, chunked: bool):
    sender, bill_id = ByteByByte(chunked=chunked), api.opened()
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "50000"}
    given = {"Host": "localhost", **api.credentials, "Content-Type": "application/json", **framing}
    began_s = time.monotonic()
    answer = answered(app, f"/api/v1/bills/{bill_id}/line-items", given, sender)
    sender.answered.set()
    assert time.monotonic() - began_s < 3
    assert (answer.status_code, answer.json["message"]) == (400, "the body came too slowly")
    assert answer.json["details"]["reason"] == "malformed_request"
    assert api.bill(bill_id)["item_count"] == 0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("address", "status"), [("/session", 400), ("/bills", 303)])
def test_a_form_of_somebody_unknown(app: Flask, address: str, status: int, chunked: bool):
    """Also one that is kept until they have signed in, if it can be read."""
    sender = ByteByByte(chunked=chunked)
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "50000"}
    began_s = time.monotonic()
    answer = answered(app, address, {"Host": "localhost", "Content-Type": FORM, **framing}, sender)
    sender.answered.set()
    assert time.monotonic() - began_s < 3
    assert answer.status_code == status
    assert ("What you sent came too slowly" in answer.text) == (status == 400)


def test_what_comes_of_it_later_is_no_request():
    told = []

    def app(environ, _start_response):
        for _ in range(2):
            with pytest.raises(TooSlow):
                environ["wsgi.input"].read()
            told.append("too slow")
        return []

    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with theirs, ours:
        theirs.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
        config = Config()
        parser = RequestParser(config, ours, HERE)
        _, environ = wsgi.create(next(parser), ours, HERE, HERE, config)
        InTime(app)(environ, lambda *_: None)
        assert told == ["too slow"] * 2
        theirs.sendall(b"GET /another HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not parser.finish_body(deadline=time.monotonic() + 1)


def test_a_body_that_comes_in_time_is_taken_however_long_its_answer_takes(
    app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch
):
    content, cut = json.dumps(HUNG).encode(), []
    monkeypatch.setattr(socket.socket, "shutdown", lambda *_: cut.append(1))
    given = {"Host": "localhost", **api.credentials, "Content-Type": "application/json"}
    given["Content-Length"] = str(len(content))

    def in_two_parts(to: socket.socket) -> None:
        to.sendall(content[:10])
        time.sleep(0.2)
        to.sendall(content[10:])

    answer = answered(app, f"/api/v1/bills/{api.opened()}/line-items", given, in_two_parts)
    assert answer.status_code == 200
    time.sleep(0.6)
    assert cut == []


def test_who_is_late_comes_to_the_end_at_once_and_can_still_be_answered():
    deadlines = Deadlines()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadlines.start(ours, time.monotonic() + 0.1)
        assert ours.recv(1) == b""
        assert not deadlines.stop(ours)
        ours.sendall(b"late")
        assert theirs.recv(4) == b"late"


def test_who_was_in_time_is_left_alone():
    deadlines = Deadlines()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadlines.start(ours, time.monotonic() + 0.1)
        assert deadlines.stop(ours)
        time.sleep(0.3)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
