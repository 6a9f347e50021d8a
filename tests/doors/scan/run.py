"""sqlmap and wapiti against a system of its own, signed in as an administrator and with an API key: bin/scan.

Each is first shown a page full of holes, and must find them. Everything is on this machine, bounded in time, and ends
by itself; no worker runs, so nothing is sent to addresses that scanners make up.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path

from bench.support.report import table
from tests.doors.record import record
from tests.doors.scan import sqlmap, targets, wapiti
from tests.doors.scan.listening import full_of_holes, listener
from tests.doors.scan.sqlmap import Outcome
from tests.doors.scan.targets import Target
from tests.doors.scan.wapiti import Part
from tests.doors.site import Site
from webapp.api.blueprint import PATH as API

INSTALLED = Path(__file__).resolve().parents[3] / "build" / "scan"
SCANNERS = INSTALLED / "bin"
# wapiti's own database gives up where a disk is slow.
IN_MEMORY = Path("/dev/shm")
AT_ONCE = 3
ONE_TARGET_S = 300
AMONG_HOLES_S = 15
# Signing oneself out, or taking from oneself what is needed for the rest; and what there is by the hundred.
EXCLUDED = (
    "/session/*",
    "/test/session/*",
    "/settings/account*",
    "/settings/users*",
    "/settings/api-keys/*/revocation*",
    "/assets/*",
)
PAGES = ("/", "/bills", "/customers", "/rates", "/settings", "/settings/audit-log", "/settings/webhooks", "/attention")


@dataclass
class Result:
    rows: list[tuple[str, ...]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def add(self, what: str, tried: str, complaints: Sequence[str], began: float) -> None:
        self.rows.append((what, tried, str(len(complaints)), f"{time.monotonic() - began:.0f} s"))
        self.complaints += complaints
        print(f"{what}: {tried}, {len(complaints)} complaints", *complaints, sep="\n  ", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parsed(arguments)
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-scan-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    result = Result()
    with Site(tls=True) as site:
        _show_holes(result, site, directory, asked.only)
        if asked.only != "wapiti":
            _by_sqlmap(result, site, directory)
        if asked.only != "sqlmap":
            _by_wapiti(result, site, directory, asked.seconds)
        if unforeseen := site.stack.web.unforeseen:
            result.complaints.append(f"web's log has a failure that nobody had foreseen:\n{unforeseen}")
    print(f"{len(result.complaints)} complaints")
    if result.complaints:
        print(f"Kept: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    if asked.record:
        rows = [("what", "tried", "complaints", "took"), *result.rows]
        only = f" --only {asked.only}" if asked.only else ""
        facts = {
            "command": f"`bin/scan{only} --seconds {asked.seconds} --record`",
            "tools": _versions(),
            "complaints": str(len(result.complaints)),
        }
        text = "\n\n".join([table(rows), *(f"- {one}" for one in result.complaints)])
        print(f"recorded in {record(asked.only or 'scan', asked.only or 'sqlmap and wapiti', facts, text)}")
    return int(bool(result.complaints))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/scan", description=__doc__)
    parser.add_argument("--only", choices=("sqlmap", "wapiti"), help="one of the two")
    parser.add_argument(
        "--seconds", type=int, default=60, help="at most, for each of wapiti's modules, in each part (60)"
    )
    parser.add_argument("--record", action="store_true", help="write the result to tests/doors/results")
    return parser.parse_args(arguments)


def _show_holes(result: Result, site: Site, directory: Path, only: str | None) -> None:
    """Who finds nothing there would find nothing anywhere."""
    began, blind = time.monotonic(), []
    with full_of_holes(site.stack.engine) as url, listener() as (called, _):
        hole = Target("a hole", "GET", "/sql", {"name": "mtkvari-freight*"})
        if only != "wapiti":
            said = sqlmap.tried(SCANNERS, directory / "hole", hole, url, {}, within_s=ONE_TARGET_S)
            blind += [] if said[0] is Outcome.FOUND else [f"sqlmap doesn't find a hole:\n{said[1][-2_000:]}"]
        if only != "sqlmap":
            part = Part("holes", f"{url}/", crawled_for_s=10)
            found = wapiti.scanned(SCANNERS, directory / "holes", part, called, each_s=AMONG_HOLES_S)
            told = " ".join(found.complaints)
            blind += [
                f"wapiti doesn't find {hole}" for hole in ("SQL Injection", "Cross Site Scripting") if hole not in told
            ]
    result.add("a page full of holes: found", only or "sqlmap, wapiti", blind, began)


def _by_sqlmap(result: Result, site: Site, directory: Path) -> None:
    browser = site.signed_in()
    document = browser.get(f"{site.url}{API}/openapi.json", timeout=30).json()
    key = {"Authorization": f"Bearer {site.admin_key}"}
    pages = [*PAGES, *(f"/bills/{site.names[name]}" for name in ("spare", "closed")), site.names["accruing_share"]]
    of_pages = targets.of_pages(browser, site.url, pages)
    all_of = {
        "sqlmap, the API's calls": ([*targets.of_document(document, site.names)], key),
        "sqlmap, pages and forms": (of_pages, _as_browser(site)),
    }
    for number, (what, (some, headers)) in enumerate(all_of.items()):
        began = time.monotonic()
        complaints = [*_tried(site, directory / f"sqlmap-{number}", some, headers)]
        if number and not _is_signed_in(site, headers):
            complaints.append("it was signed out, so that nothing was tried")
        result.add(what, f"{len(some)} requests, {sum(one.marks for one in some)} places", complaints, began)


def _tried(site: Site, directory: Path, some: Sequence[Target], headers: Mapping[str, str]) -> Iterator[str]:
    directory.mkdir()

    def one(numbered: tuple[int, Target]) -> str | None:
        number, target = numbered
        found, said = sqlmap.tried(
            SCANNERS, directory / str(number), target, site.url, headers, within_s=ONE_TARGET_S
        )  # fmt: skip
        print(f"  {found}: {target.name}", flush=True)
        return None if found is Outcome.CLEAN else f"{found}: {target.name}:\n{said[-1_500:]}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from filter(None, pool.map(one, enumerate(some)))


def _as_browser(site: Site) -> Mapping[str, str]:
    cookie = "; ".join(f"{one.name}={one.value}" for one in site.signed_in().cookies)
    return {"Cookie": cookie, "Referer": f"{site.url}/"}


def _is_signed_in(site: Site, headers: Mapping[str, str]) -> bool:
    browser = site.signed_in()
    browser.cookies.clear()
    return browser.get(f"{site.url}/bills", headers=headers, timeout=30, allow_redirects=False).status_code == 200


def _by_wapiti(result: Result, site: Site, directory: Path, each_s: int) -> None:
    headers = _as_browser(site)
    pages = [*PAGES[1:], *(f"/bills/{site.names[name]}" for name in ("accruing", "closed"))]
    document = f"{site.url}{API}/openapi.json"
    long = (f"/bills/{site.names[name]}*" for name in ("thousand", "vast"))
    excluded = [f"{site.url}{path}" for path in (*EXCLUDED, *long)]
    link = site.names["accruing_share"].removeprefix("/b")
    shared = [link, f"{link}?currency=JPY", f"{link}/lines.csv", f"{link}/bill.pdf", f"{link}/changes?version=1"]
    parts = (
        Part("console", f"{site.url}/", pages, headers={"Cookie": headers["Cookie"]}, excluded=excluded, least=60),
        Part("not signed in", f"{site.url}/", ["/session/new"], excluded=excluded[-2:], least=3, crawled_for_s=30),
        Part("customer's page", f"{site.url}/b/", shared, least=4, crawled_for_s=30),
        Part(
            "API", f"{site.url}{API}/", headers={"Authorization": f"Bearer {site.admin_key}"}, document=document,
            crawled_for_s=30,
        ),
    )  # fmt: skip
    with listener() as (address, called):
        for number, part in enumerate(parts):
            began = time.monotonic()
            found = wapiti.scanned(SCANNERS, directory / f"wapiti-{number}", part, address, each_s=each_s)
            complaints = [*found.complaints, *(f"{part.name}: was made to call {one}" for one in called)]
            called.clear()
            if found.requests < part.least:
                complaints.append(f"{part.name}: {found.requests} addresses and forms are too few")
            if part.name == "console" and not _is_signed_in(site, headers):
                complaints.append("it was signed out, so that nothing was tried")
            tried = f"{found.requests} addresses and forms, {len(wapiti.MODULES)} modules"
            if found.stopped:
                tried += f"; not all that there was to try by {', '.join(found.stopped)}"
            result.add(f"wapiti, {part.name}", tried, complaints, began)


def _versions() -> str:
    where = [str(path) for path in INSTALLED.glob("lib/python*/site-packages")]
    of_both = {one.name: one.version for one in distributions(path=where) if one.name in {"sqlmap", "wapiti3"}}
    return ", ".join(f"{name} {version}" for name, version in sorted(of_both.items()))


if __name__ == "__main__":
    sys.exit(main())
