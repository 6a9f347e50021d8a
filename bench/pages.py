"""How long pages take the server with 10,000 bills: gunicorn with the project's settings, a real PostgreSQL.

.venv/bin/python -m bench.pages [--requests 20]
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence

import click
import requests

from bench.lighthouse.measure import site
from billing.settings import DEFAULT_CURRENCIES

WARM_UP = 2
# A PDF like one before is remembered: each is in another currency.
MOST = len(DEFAULT_CURRENCIES) - WARM_UP
PAGES = {
    "list of bills, 50 rows": "/bills",
    "overview": "/",
    "bill of five lines": "/bills/{accruing}",
    "bill of 10,000 lines": "/bills/{vast}",
    "customer's page": "{accruing_share}",
    "customer's page, 10,000 lines": "{vast_share}",
    "PDF of 1,000 lines": "{thousand_share}/bill.pdf?currency={unlike}",
}


@click.command()
@click.option("--requests", "count", type=click.IntRange(1, MOST), default=20, show_default=True, help="Of each page.")
def main(count: int) -> None:
    """Prints the median, fastest and slowest answer of each page, one asked after the other; nothing else is judged."""
    with site() as (address, names, headers):
        browser = requests.Session()
        browser.headers.update(json.loads(headers.read_text()))
        click.echo(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
        click.echo("| page | median | fastest | slowest |\n|---|---|---|---|")
        for name, path in PAGES.items():
            took = measured(browser, address + path, names, count)
            click.echo(f"| {name} | {statistics.median(took):.0f} ms | {min(took):.0f} ms | {max(took):.0f} ms |")


def measured(browser: requests.Session, path: str, names: Mapping[str, str], count: int) -> Sequence[float]:
    """From the request to the end of the answer, in milliseconds; the first few don't count."""
    took = []
    for unlike in DEFAULT_CURRENCIES[: WARM_UP + count]:
        began = time.perf_counter()
        answer = browser.get(path.format(**names, unlike=unlike), timeout=60, allow_redirects=False)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != requests.codes.ok:
            raise click.ClickException(f"{answer.url} answered {answer.status_code}")
    return took[WARM_UP:]


if __name__ == "__main__":
    main()
