"""The server of the tests leaves nothing of its application behind."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import requests
from flask import Flask

from tests.support.served import served


def test_what_is_being_answered_is_answered_before_the_application_is_closed():
    app, began, answered, closed_after = Flask(__name__), threading.Event(), [], []

    @app.get("/")
    def slow() -> str:
        began.set()
        time.sleep(0.3)
        answered.append("slow")
        return "slow"

    live = SimpleNamespace(stop_when=lambda _: None)
    app.extensions["pave"] = SimpleNamespace(live=live, close=lambda: closed_after.extend(answered))
    with served(app) as address:
        asking = threading.Thread(target=requests.get, args=(address,), kwargs={"timeout": 30})
        asking.start()
        assert began.wait(30)
    asking.join()
    assert closed_after == ["slow"]
