"""Django's admin, installed into an environment of its own and served by gunicorn with this project's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.support.environments import BECOME, NotInstalled, python_with
from bench.support.figures import Figure, Plan
from bench.support.stack import READY_WITHIN_S, Stack
from bench.support.turns import OK, Asked, Latencies, Request
from embedded import ports, probe

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NAME = "django"
CONFIGURATION = "bench/peers/gunicorn.conf.py"
APP = "django.core.wsgi:get_wsgi_application()"
LISTS = {"list": "", "search": "?q=copper", "open bills": "?status__exact=open"}


class DjangoAdmin:
    """Where it can't be installed `ways` is empty, and the plan's notes say why."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self._port = 0
        try:
            python = python_with("django_admin", REQUIREMENTS)
        except NotInstalled as error:
            plan.notes.append(f"Django's admin is left out: {error}")
            return
        self._port = _served(stack, python)

    def ways(self) -> Mapping[str, Asked]:
        if not self._port:
            return {}
        return {f"Django: {name}": Asked(self._port, _asking(query)) for name, query in LISTS.items()}

    def figures(self, latencies: Latencies, ours: Mapping[str, str]) -> list[Figure]:
        """`ours`: which way of ours each of its lists is held against."""
        return [
            Figure(
                f"{way}: p50",
                latencies.p50(way),
                "ms",
                f"Django's admin, {name}",
                latencies.p50(f"Django: {name}"),
                latencies.ratio(way, f"Django: {name}"),
            )
            for name, way in ours.items()
            if self._port
        ]


def _asking(query: str) -> Callable[[], Request]:
    return lambda: Request(f"/admin/django_admin/bill/{query}", {})


def _served(stack: Stack, python: Path) -> int:
    port = ports.kept_ports(stack.directory / f"{NAME}.port.json", (NAME,))[NAME]
    environment = {"DJANGO_SETTINGS_MODULE": "bench.peers.django_admin.settings", "PORT": str(port)}
    child = stack.program(NAME, ["-c", BECOME, str(python), "-m", "gunicorn", "-c", CONFIGURATION, APP], environment)
    deadline = time.monotonic() + READY_WITHIN_S
    while (answer := probe.get(port, "/healthz")) is None or answer[0] != OK:
        if time.monotonic() > deadline or not child.running:
            raise RuntimeError(f"Django's admin did not become ready:\n{stack.log(NAME)[-3000:]}")
        time.sleep(0.05)
    return port
