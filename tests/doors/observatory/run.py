"""Mozilla's HTTP Observatory on every kind of answer, behind TLS on localhost. Exits with 1 where it isn't a full A+.

bin/observatory             # a minute
bin/observatory --record    # writes the result to tests/doors/results
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bench.support.report import table
from billing.ledger.database import transaction
from tests.doors.record import record
from tests.doors.site import Site
from tests.support.closed_port import closed_port
from webapp.api.blueprint import PATH as API

INSTALLED = Path(__file__).resolve().parents[3] / "build" / "observatory"
PACKAGE = INSTALLED / "node_modules" / "@mdn" / "mdn-http-observatory"
RATE = Path(__file__).with_name("rate.mjs")
WITHIN_S = 300
A_PLUS = 100
NOBODY, STAFF, KEY = "nobody", "staff", "key"


@dataclass(frozen=True)
class Kind:
    """`who` asks: nobody, somebody who is signed in, or an API key."""

    name: str
    path: str
    status: int = 200
    who: str = NOBODY


KINDS = (
    Kind("sign-in", "/session/new"),
    Kind("a page, for nobody: to sign-in", "/bills"),
    Kind("overview", "/", who=STAFF),
    Kind("bills", "/bills", who=STAFF),
    Kind("bill", "/bills/{accruing}", who=STAFF),
    Kind("closed bill", "/bills/{closed}", who=STAFF),
    Kind("part of a page", "/bills/{accruing}/totals", who=STAFF),
    Kind("bills as CSV", "/bills.csv", who=STAFF),
    Kind("bill as PDF", "/bills/{closed}/document.pdf", who=STAFF),
    Kind("import", "/bills/{importing}/imports/{import_done}", who=STAFF),
    Kind("import's report", "/bills/{importing}/imports/{import_done}/report.csv", who=STAFF),
    Kind("test bill", "/test/bills/{tried}", who=STAFF),
    Kind("customer's page of a test bill", "/test{tried_share}"),
    Kind("customers", "/customers", who=STAFF),
    Kind("rates", "/rates", who=STAFF),
    Kind("settings", "/settings", who=STAFF),
    Kind("API keys", "/settings/api-keys", who=STAFF),
    Kind("webhooks", "/settings/webhooks", who=STAFF),
    Kind("audit log", "/settings/audit-log", who=STAFF),
    Kind("audit log as CSV", "/settings/audit-log.csv", who=STAFF),
    Kind("components", "/design", who=STAFF),
    Kind("customer's page", "{accruing_share}"),
    Kind("customer's PDF", "{closed_share}/bill.pdf"),
    Kind("customer's CSV", "{closed_share}/lines.csv"),
    Kind("customer's page that isn't there", "/b/unknown", 404),
    Kind("API's pages", "/docs"),
    Kind("OpenAPI document", f"{API}/openapi.json"),
    Kind("API", f"{API}/bills", who=KEY),
    Kind("API, without a key", f"{API}/bills", 401),
    Kind("API, no such bill", f"{API}/bills/{{nobody}}", 404, KEY),
    Kind("API, no such method", f"{API}/bills/{{accruing}}/close", 405, KEY),
    Kind("API's export", f"{API}/exports/bills?format=csv", who=KEY),
    Kind("no such bill", "/bills/{nobody}", 404, STAFF),
    Kind("no such page", "/nowhere", 404, STAFF),
    Kind("no such method", "/session/end", 405, STAFF),
    Kind("no such asset", "/assets/000000000000/nothing.js", 404),
    Kind("health", "/healthz"),
    Kind("our fault", "/rates?why", 500, STAFF),
    Kind("API, our fault", f"{API}/rates", 500, KEY),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bin/observatory", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the result to tests/doors/results")
    asked = parser.parse_args(arguments)
    with Site(tls=True, OPENEXCHANGERATES_APP_ID="") as site, closed_port() as nobody_listens:
        headers = _headers(site)
        found = [*_rated(site, nobody_listens, headers, of_ours=False)]
        with transaction(site.stack.engine) as connection:
            connection.execute(text("ALTER TABLE rate_snapshots RENAME TO rate_snapshots_away"))
        found += _rated(site, nobody_listens, headers, of_ours=True)
    wrong = [sentence for kind, one in zip(_in_order(), found, strict=True) for sentence in _wrong(kind, one)]
    shown = _table(found)
    print(shown)
    print("\n".join(wrong))
    lowest = min(one.get("score", 0) for one in found)
    print(f"{len(found)} kinds of answers, the lowest score {lowest}, {len(wrong)} complaints")
    if asked.record:
        version = json.loads((PACKAGE / "package.json").read_text())["version"]
        facts = {
            "command": "`bin/observatory --record`",
            "tool": f"@mdn/mdn-http-observatory {version}",
            "kinds of answers": str(len(found)),
            "lowest score": str(lowest),
            "complaints": str(len(wrong)),
        }
        file = record("observatory", "HTTP Observatory", facts, "\n\n".join([shown, *wrong]))
        print(f"recorded in {file}")
    return int(bool(wrong))


def _in_order() -> Sequence[Kind]:
    return [*(kind for kind in KINDS if kind.status != 500), *(kind for kind in KINDS if kind.status == 500)]


def _headers(site: Site) -> Mapping[str, Sequence[str]]:
    """Of each who asks."""
    cookie = "; ".join(f"{one.name}={one.value}" for one in site.signed_in().cookies)
    return {NOBODY: [], STAFF: [f"Cookie: {cookie}"], KEY: [f"Authorization: Bearer {site.admin_key}"]}


def _rated(
    site: Site, http_port: int, headers: Mapping[str, Sequence[str]], *, of_ours: bool
) -> Sequence[Mapping[str, Any]]:
    """`of_ours`: what is asked for once a table is gone."""
    pages = [
        {
            "name": kind.name,
            "path": kind.path.format(**site.names),
            "headers": headers[kind.who],
            "httpsPort": site.stack.port,
            "httpPort": http_port,
        }
        for kind in KINDS
        if (kind.status == 500) == of_ours
    ]
    done = subprocess.run(
        ["node", str(RATE), str(PACKAGE)],
        input=json.dumps(pages), capture_output=True, text=True, timeout=WITHIN_S, check=False,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(site.authority.file)},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the Observatory ended with {done.returncode}:\n{done.stderr[-3_000:]}")
    return json.loads(done.stdout)


def _wrong(kind: Kind, found: Mapping[str, Any]) -> Sequence[str]:
    """Less than A+, a test that isn't passed, another answer than was meant."""
    if "error" in found:
        return [f"{kind.name}: {found['error']}"]
    failed = [f"{kind.name}: {test['name']}: {test['result']}" for test in found["tests"] if not test["pass"]]
    if found["score"] < A_PLUS or found["grade"] != "A+":
        failed.append(f"{kind.name}: {found['grade']}, {found['score']}")
    if found["status"] != kind.status:
        failed.append(f"{kind.name}: answered {found['status']}, not {kind.status}")
    return failed


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [("answer", "status", "grade", "score", "points beyond 100")]
    for one in found:
        points = ", ".join(f"{test['name']} {test['points']:+}" for test in one.get("tests", ()) if test["points"])
        rows.append((one["name"], *(str(one.get(key, "")) for key in ("status", "grade", "score")), points))
    return table(rows)


if __name__ == "__main__":
    sys.exit(main())
