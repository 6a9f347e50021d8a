"""How an API key stands with its limit, and what happens beyond."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.support.api import HUNG, Api
from webapp.config import Config
from webapp.identity import api_keys
from webapp.identity.rate_limits import RateLimit
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope

# So long a window that no test sees it end.
LIMIT = RateLimit(4, 86_400)


@pytest.fixture
def limited(make_app: Callable[[Config], Flask], config: Config, engine: Engine) -> Api:
    app = make_app(replace(config, api_rate_limit=LIMIT))
    return Api(app.test_client(), api_keys.create(engine, name="limited", role=Role.OPERATOR))


def test_every_answer_tells_how_the_key_stands(limited: Api):
    answers = [
        limited.get("/bills"),
        limited.get("/bills?limit=x"),
        limited.post("/bills/x/close"),
        limited.get("/rates"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 200]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"key";q=4;w=86400'}
    left = [re.fullmatch(r'"key";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in answers]
    assert [int(found[1]) for found in left] == [3, 2, 1, 0]
    assert all(0 < int(found[2]) <= 86_400 for found in left)


def test_beyond_it_is_429_with_the_time_to_wait_and_nothing_happens(limited: Api, engine: Engine, app: Flask):
    bill_id = limited.opened()
    limited.added(bill_id)
    limited.added(bill_id)
    limited.added(bill_id)

    refused = limited.post(f"/bills/{bill_id}/line-items", HUNG)

    assert (refused.status_code, refused.json["code"]) == (429, "resource_exhausted")
    assert refused.json["details"]["reason"] == "rate_limited"
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert refused.headers["RateLimit"].startswith('"key";r=0;t=')
    other = Api(limited.client, api_keys.create(engine, name="other", role=Role.VIEWER))
    assert other.bill(bill_id)["item_count"] == 3


def test_what_is_refused_for_its_scope_counts_too(make_app, config: Config, engine: Engine):
    app = make_app(replace(config, api_rate_limit=LIMIT))
    api = Api(app.test_client(), api_keys.create(engine, name="limited", scopes=[Scope.RATES_READ]))
    assert [api.get("/bills").status_code for _ in range(5)] == [403, 403, 403, 403, 429]


def test_neither_counting_nor_refusing_asks_the_database(limited: Api, monkeypatch: pytest.MonkeyPatch):
    for _ in range(4):
        limited.get("/rates")
    asked = []
    execute = psycopg.Cursor.execute
    monkeypatch.setattr(psycopg.Cursor, "execute", lambda *given, **kw: asked.append(given) or execute(*given, **kw))
    assert limited.get("/bills").status_code == 429
    assert limited.post("/bills/x/line-items", HUNG).status_code == 429
    assert asked == []


def test_by_default_it_is_far_beyond_what_an_importer_sends(api: Api):
    policy = api.get("/rates").headers["RateLimit-Policy"]
    requests, seconds = map(int, re.fullmatch(r'"key";q=(\d+);w=(\d+)', policy).groups())
    assert requests / seconds >= 2_000


def test_without_one_nothing_is_said(make_app, config: Config, engine: Engine):
    app = make_app(replace(config, api_rate_limit=None))
    answer = Api(app.test_client(), api_keys.create(engine, name="free", role=Role.VIEWER)).get("/rates")
    assert answer.status_code == 200
    assert not [name for name, _ in answer.headers if name.startswith("RateLimit")]


def test_who_has_no_key_is_told_of_no_limit(stranger: Api):
    answer = stranger.get("/rates")
    assert answer.status_code == 401
    assert "RateLimit" not in answer.headers
