"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine

from billing.ledger import revisions
from billing.ledger.database import single_statement
from billing.ledger.progress import last_beat_age
from webapp.attention import WORKER_SILENT_AFTER
from webapp.identity.access import public
from webapp.system import System, system

ANSWER_WITHIN_S = 2.0

OK, DEGRADED, FAILED, BEHIND = "ok", "degraded", "failed", "behind"

health = Blueprint("health", __name__)


@health.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """The process lives; nothing else is asked."""
    return jsonify(status=OK)


@health.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    """503 when the database is out of reach or migrations are behind; with `?strict=1` also without
    Temporal or a worker, which otherwise only degrade: bills accrue and are read without them."""
    state = _checked(system())
    failing = {FAILED, BEHIND, DEGRADED} if request.args.get("strict") == "1" else {FAILED, BEHIND}
    ready = not failing & set(state.values())
    lag_s = round(system().workflows.lag_s(), 1)
    return jsonify(status=OK if ready else FAILED, signal_lag_s=lag_s, **state), 200 if ready else 503


def _checked(system: System) -> dict[str, str]:
    """All three at once, within two seconds."""
    questions: dict[str, tuple[Callable[[], str], str]] = {
        "database": (lambda: _database(system.engine), FAILED),
        "temporal": (lambda: OK if system.workflows.is_reachable() else DEGRADED, DEGRADED),
        "worker": (lambda: _worker(system.engine), DEGRADED),
    }
    asked = {name: system.background.submit(question) for name, (question, _) in questions.items()}
    wait(asked.values(), timeout=ANSWER_WITHIN_S)
    return {name: _answer(asked[name], otherwise) for name, (_, otherwise) in questions.items()}


def _answer(asked: Future[str], otherwise: str) -> str:
    if asked.done() and not asked.exception():
        return asked.result()
    asked.cancel()
    return otherwise


def _database(engine: Engine) -> str:
    with single_statement(engine) as connection:
        applied = set(connection.exec_driver_sql(revisions.APPLIED).scalars())
    return OK if applied == revisions.newest() else BEHIND


def _worker(engine: Engine) -> str:
    age = last_beat_age(engine)
    return OK if age is not None and age < WORKER_SILENT_AFTER else DEGRADED
