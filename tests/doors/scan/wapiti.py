"""wapiti on a part of the site: it follows links, fills in forms, and says what it found."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MODULES = (
    "cookieflags", "crlf", "csp", "csrf", "exec", "file", "htaccess", "http_headers", "methods", "permanentxss",
    "redirect", "sql", "ssrf", "timesql", "upload", "xss", "xxe",
)  # fmt: skip
STOPPED = re.compile(r"Max attack time was reached for module (\w+)")


@dataclass(frozen=True)
class Part:
    """`starts` are addresses below `url`; `document` is of an API, in place of links. `least` is how many addresses and
    forms must be found there."""

    name: str
    url: str
    starts: Sequence[str] = ()
    headers: Mapping[str, str] | None = None
    excluded: Sequence[str] = ()
    least: int = 1
    document: str = ""
    crawled_for_s: int = 60


@dataclass(frozen=True)
class Found:
    """`stopped` are modules that had more to try when their time was over."""

    requests: int
    complaints: Sequence[str]
    stopped: Sequence[str] = ()


def scanned(scanners: Path, directory: Path, part: Part, listener: str, *, each_s: int) -> Found:
    """`listener` is an address of ours that nothing may be made to call; a module may take `each_s`."""
    directory.mkdir()
    report = directory / "report.json"
    options = [
        *("-u", part.url, "--scope", "folder", "-m", ",".join(MODULES), "--flush-session", "--verify-ssl", "0"),
        *("--max-scan-time", str(part.crawled_for_s), "--max-attack-time", str(each_s), "--tasks", "4"),
        *("--no-bugreport", "--endpoint", listener, "-l", "2", "-t", "30"),
        # Ever more of the same is no other page.
        *("-d", "3", "--max-links-per-page", "80", "--max-files-per-dir", "6"),
        *("--store-session", str(directory), "--store-config", str(directory), "-v", "1"),
        *("-f", "json", "-o", str(report)),
        *(word for start in part.starts for word in ("-s", part.url.rstrip("/") + start)),
        *(word for pattern in part.excluded for word in ("-x", pattern)),
        *(word for name, value in (part.headers or {}).items() for word in ("-H", f"{name}: {value}")),
        *(("--swagger", part.document) if part.document else ()),
    ]
    log = directory / "log"
    command = [str(scanners / "wapiti"), *options]
    own = {"HOME": str(directory), "PATH": f"{scanners}:/usr/bin:/bin"}
    at_most_s = part.crawled_for_s + 2 * each_s * len(MODULES) + 60
    with log.open("w") as out:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False, env=own,
            timeout=at_most_s,
        )  # fmt: skip
    if not report.exists():
        return Found(0, [f"{part.name}: wapiti ended without a report:\n{log.read_text()[-2_000:]}"])
    return _read(part, json.loads(report.read_text()), log.read_text(errors="replace"))


def _read(part: Part, report: Mapping[str, Mapping[str, object]], said: str) -> Found:
    complaints = [
        f"{part.name}: {name}: {one['method']} {one['path']} {one['parameter']}: {one['info']}"
        for name, one in (*_listed(report, "vulnerabilities"), *_listed(report, "anomalies"))
    ]
    return Found(int(str(report["infos"].get("crawled_pages_nbr", 0))), complaints, STOPPED.findall(said))


def _listed(report: Mapping[str, Mapping[str, object]], kind: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, ones in report[kind].items():
        for one in ones:  # type: ignore[attr-defined]
            yield name, one
