from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from billing.ledger import progress
from tests.support.stopwatch import stopwatch
from webapp.config import Config


def test_the_process_lives(client: FlaskClient):
    assert client.get("/healthz").json == {"status": "ok"}


def test_without_temporal_and_worker_it_is_ready_and_says_so(client: FlaskClient):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {
        "status": "ok", "database": "ok", "temporal": "degraded", "worker": "degraded", "signal_lag_s": 0.0,
    }  # fmt: skip


def test_strictly_it_is_not(client: FlaskClient):
    assert client.get("/readyz?strict=1").status_code == 503


def test_a_worker_that_gave_a_sign_of_life_is_there(client: FlaskClient, engine: Engine):
    progress.beat(engine, "worker-1")

    assert client.get("/readyz").json["worker"] == "ok"


def test_a_silent_worker_is_not(client: FlaskClient, engine: Engine):
    progress.beat(engine, "worker-1")
    with engine.begin() as connection:
        connection.execute(text("UPDATE worker_heartbeats SET beat_at = beat_at - interval '1 minute'"))

    assert client.get("/readyz").json["worker"] == "degraded"


def test_migrations_that_are_behind_are_a_failure(client: FlaskClient, engine: Engine):
    with engine.begin() as connection:
        head = connection.execute(
            text("UPDATE alembic_version SET version_num = '0000' RETURNING version_num")
        ).rowcount
    answer = client.get("/readyz")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})

    assert (answer.status_code, answer.json["database"]) == (503, "behind")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "10.255.255.1:5432"])
def test_a_database_out_of_reach_is_a_failure_within_two_seconds(config: Config, make_app, address: str):
    settings = replace(config.settings, database_url=f"postgresql://billing@{address}/billing")
    app = make_app(replace(config, settings=settings))

    with stopwatch() as took:
        answer = app.test_client().get("/readyz")

    assert (answer.status_code, answer.json["database"]) == (503, "failed")
    assert took.s < 3
