"""One PostgreSQL and one Temporal server for each process of the run; a database of its own for every test module."""

from __future__ import annotations

import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from billing.bill import Bill
from billing.ledger import bills
from billing.ledger.engines import create_engine
from billing.origin import Actor, ActorKind, Origin
from billing.period import Period
from embedded.postgres import Postgres
from embedded.temporal import Temporal
from tests.support.days import wait_for_the_next_day_if_this_one_ends_soon
from tests.support.ledger import OpenBill

PROJECT = Path(__file__).resolve().parents[1]
TEMPLATE = "migrated"
# Not on the hour, where what a page says of the time left would change from one moment to the next.
IN_A_MONTH = timedelta(days=30, minutes=30)

# An example takes as long as the machine lets it: how quick something is, is measured elsewhere.
settings.register_profile(
    "unhurried",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where changes are checked before they land, a browser test that didn't run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # none where another process reports
    if os.environ.get("CI") == "true" and reporter and _not_run(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not_run := _not_run(terminalreporter):
        reason = not_run[0].longrepr[2].removeprefix("Skipped: ")
        told = f"BROWSER TESTS THAT DID NOT RUN: {len(not_run)} ({reason})"
        terminalreporter.write_sep("=", told, red=True, bold=True)


def _not_run(reporter: pytest.TerminalReporter) -> list[pytest.TestReport]:
    return [report for report in reporter.stats.get("skipped", []) if report.nodeid.startswith("tests/browser/")]


@pytest.fixture(scope="session")
def run_dir() -> Iterator[Path]:
    """Unlike pytest's own, one that PostgreSQL's user can enter when root runs the tests."""
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-tests-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(run_dir: Path) -> Iterator[Postgres]:
    # Who follows the log waits for older transactions, of other databases too: those of autovacuum come at any moment.
    server = Postgres(run_dir, settings={"autovacuum": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def temporal(run_dir: Path) -> Iterator[Temporal]:
    server = Temporal(run_dir, extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """The name of a database with every migration, to be copied."""
    url = postgres.create_database(TEMPLATE)
    migrate(url)
    return TEMPLATE


def migrate(url: str, revision: str = "head", *, back: bool = False, lose: str = "") -> None:
    """`lose` names what may go when it goes `back`."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        config = AlembicConfig(str(PROJECT / "alembic.ini"), cmd_opts=Namespace(x=[f"lose={lose}"]))
        command.downgrade(config, revision) if back else command.upgrade(config, revision)
    finally:
        if before is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = before


@pytest.fixture(scope="session")
def new_database(postgres: Postgres, migrated: str) -> Callable[[], str]:
    """Makes a migrated, empty database; its address."""
    return lambda: postgres.create_database(f"test_{uuid4().hex}", template=migrated)


@pytest.fixture(scope="module")
def database_url(postgres: Postgres, new_database: Callable[[], str]) -> Iterator[str]:
    url = new_database()
    yield url
    postgres.drop_database(url.rsplit("/", 1)[1])


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def one_day() -> None:
    """The test begins and ends on one day of UTC, and so in one month."""
    wait_for_the_next_day_if_this_one_ends_soon()


@pytest.fixture
def origin() -> Origin:
    """An integrator nobody has met before."""
    return Origin(Actor(ActorKind.API_KEY, str(uuid4()), "ledger-sync"), uuid4(), "request-1")


@pytest.fixture
def open_bill(engine: Engine, origin: Origin) -> OpenBill:
    """Opens a bill of a new customer, a month long unless told otherwise."""

    def open_(*, ends_in: timedelta = IN_A_MONTH) -> Bill:
        now = datetime.now(UTC)
        return bills.open_bill(engine, origin, f"customer-{uuid4().hex}", Period(now, now + ends_in)).bill

    return open_
