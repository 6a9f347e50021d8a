"""Lighthouse's scores of three pages: gunicorn with the project's settings, a real PostgreSQL, 10,000 bills."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import requests

from billing.ledger.engines import create_engine
from embedded import errand, ports, probe
from embedded.child import Child
from embedded.postgres import Postgres
from tests.support.page import parse
from tests.support.visitor import PASSWORD
from tests.support.world import build
from webapp.identity import user_changes
from webapp.identity.roles import Role

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLED = CHECKOUT / "build" / "lighthouse"
LIGHTHOUSE = INSTALLED / "node_modules" / "lighthouse" / "cli" / "index.js"
REPORTS = INSTALLED / "reports"
READY_WITHIN_S = 60
ONE_RUN_WITHIN_S = 180
LEAST = {"performance": 95, "accessibility": 100, "best-practices": 100}
PAGES = {"list": "/bills", "bill": "/bills/{accruing}", "customer": "{accruing_share}"}
OPERATOR = "operator@example.com"


@click.command()
@click.option("--runs", default=5, show_default=True, help="Of each page; the median counts.")
def main(runs: int) -> None:
    """Exits with 1 when a median is below its aim."""
    with site() as (address, names, headers):
        medians = {name: measured(name, address + path.format(**names), headers, runs) for name, path in PAGES.items()}
    below = [(page, scores) for page, scores in medians.items() if any(scores[kind] < LEAST[kind] for kind in LEAST)]
    click.echo(f"reports: {REPORTS.relative_to(CHECKOUT)}")
    sys.exit(1 if below else 0)


def measured(name: str, url: str, headers: Path, runs: int) -> Mapping[str, float]:
    """The median score of each category; said as it is known."""
    scores = [one_run(url, headers, REPORTS / f"{name}-{number}.json") for number in range(1, runs + 1)]
    medians = {kind: statistics.median(score[kind] for score in scores) for kind in LEAST}
    told = ", ".join(
        f"{kind} {medians[kind]:g} (least {least}; {' '.join(f'{score[kind]:g}' for score in scores)})"
        for kind, least in LEAST.items()
    )
    click.echo(f"{name}: {told}")
    return medians


def one_run(url: str, headers: Path, report: Path) -> Mapping[str, float]:
    command = [
        "node", str(LIGHTHOUSE), url, "--quiet", "--output=json", f"--output-path={report}",
        f"--only-categories={','.join(LEAST)}", f"--extra-headers={headers}",
        # Root, in a container, can't have Chromium's sandbox.
        "--chrome-flags=--headless=new --no-sandbox",
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=ONE_RUN_WITHIN_S, env={**os.environ, "CHROME_PATH": chromium()})
    categories = json.loads(report.read_text())["categories"]
    return {kind: round(categories[kind]["score"] * 100, 1) for kind in LEAST}


def chromium() -> str:
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        raise click.ClickException("no Chromium on this machine; set CHROMIUM to its path")
    return found


@contextmanager
def site() -> Iterator[tuple[str, Mapping[str, str], Path]]:
    """Its address, the names of what is in it, and a file with the headers of somebody who has signed in."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-lighthouse-"))
    # PostgreSQL's user, should root run this, must pass through.
    directory.chmod(0o711)
    postgres = Postgres(directory)
    try:
        postgres.start()
        with web(directory, postgres.url()) as (address, names):
            headers = directory / "headers.json"
            headers.write_text(json.dumps({"Cookie": signed_in(address)}))
            yield address, names, headers
    finally:
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def web(directory: Path, database_url: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """gunicorn as in production; Temporal, which no page needs, is out of reach."""
    port = ports.kept_ports(directory / "ports.json", ("web",))["web"]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": f"{ports.LOOPBACK}:1",
        "SECRET_KEY": secrets.token_urlsafe(32),
        "BIND_ADDRESS": ports.LOOPBACK,
        "PORT": str(port),
        "GUNICORN_LOG_LEVEL": "warning",
        "LOG_LEVEL": "WARNING",
    }
    names = filled(database_url, environment)
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "webapp.app:create_app()"]
    child = Child("web", command, directory / "web.process.json", directory / "web.log", environment, CHECKOUT)
    child.start()
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while (answer := probe.get(port, "/readyz")) is None or answer[0] != 200:
            if time.monotonic() > deadline or not child.running:
                raise click.ClickException(f"the web did not become ready:\n{(directory / 'web.log').read_text()}")
            time.sleep(0.1)
        yield f"http://localhost:{port}", names
    finally:
        child.stop()


def filled(database_url: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    migrate = [sys.executable, "-m", "alembic", "upgrade", "head"]
    done = errand.run(migrate, cwd=CHECKOUT, environment=dict(environment), pause=time.sleep)
    if done.returncode:
        raise click.ClickException(f"the database could not be migrated:\n{done.stderr}")
    engine = create_engine(database_url)
    try:
        user_changes.create(engine, email=OPERATOR, password=PASSWORD, role=Role.OPERATOR)
        return build(engine, secret_key=environment["SECRET_KEY"])
    finally:
        engine.dispose()


def signed_in(address: str) -> str:
    """The cookie of an operator's session."""
    browser = requests.Session()
    form = parse(browser.get(f"{address}/session/new", timeout=10).text).form("/session")
    browser.post(f"{address}/session", {**form, "email": OPERATOR, "password": PASSWORD}, timeout=10)
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)


if __name__ == "__main__":
    main()
