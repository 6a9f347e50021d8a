"""The application on a database of the module's own. Nothing listens where it looks for Temporal, which it can do
without. Every answer of its API is held against what the API says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.settings import Settings
from tests.support.conforming import ConformingClient
from webapp.app import create_app
from webapp.config import Config

NOTHING_LISTENS = "127.0.0.1:1"


@pytest.fixture(scope="module")
def config(database_url: str) -> Config:
    settings = Settings(database_url, temporal_address=NOTHING_LISTENS)
    return Config(settings, secret_key="a secret of the tests", log_level="ERROR")


@pytest.fixture(scope="module")
def make_app() -> Iterator[Callable[[Config], Flask]]:
    """Makes applications, and closes their connections when the module is done."""
    with ExitStack() as at_the_end:

        def make(config: Config) -> Flask:
            made = create_app(config)
            made.test_client_class = ConformingClient
            at_the_end.callback(made.extensions["pave"].close)
            return made

        yield make


@pytest.fixture(scope="module")
def app(make_app: Callable[[Config], Flask], config: Config) -> Flask:
    return make_app(config)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def nothing_to_remember_anew(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read once a moment has just been read, and isn't again in this test: for who counts statements."""
    system = app.extensions["pave"]
    for remembered in (system.rates.current, system.offered, system.attention):
        remembered.renewed()
        monkeypatch.setattr(remembered, "_for_s", float("inf"))
