"""PostgreSQL out of reach."""

import pytest

from tests.support.page import parse
from tests.support.stopwatch import stopwatch
from tests.support.visitor import HTMX
from webapp.app import create_app
from webapp.config import Config


@pytest.fixture
def cut_off():
    environment = {
        "DATABASE_URL": "postgresql://billing@127.0.0.1:1/billing",
        "SECRET_KEY": "only for tests, not a secret",
    }
    app = create_app(Config.from_environment(environment))
    client = app.test_client()
    with client.session_transaction() as session:
        session["token"] = "somebody's"
    return client


def test_a_page_says_so_quickly_and_without_a_traceback(cut_off):
    with stopwatch() as took:
        answer = cut_off.get("/bills")
    assert answer.status_code == 503
    assert took.s < 5
    assert answer.headers["Retry-After"]
    assert parse(answer.text).has("error-503")
    assert "Traceback" not in answer.text
    assert "psycopg" not in answer.text


def test_htmx_gets_a_notice_above_the_page_that_keeps_what_was_typed(cut_off):
    answer = cut_off.post("/bills/x/line-items", headers=HTMX)
    assert answer.status_code == 503
    assert answer.headers["HX-Retarget"] == "#notices"
    assert "<html" not in answer.text
