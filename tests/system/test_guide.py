"""The guide for integrators is true: its first bill is opened by its own commands."""

from __future__ import annotations

import json
import os
import re
import subprocess

from tests.support.integrator import PATH
from tests.support.stack import CHECKOUT, Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

GUIDE = (CHECKOUT / "docs" / "api.md").read_text()


def test_the_first_bill_is_opened_as_the_guide_says(stack: Stack):
    section = GUIDE.partition("\n## A first bill in five minutes\n")[2].partition("\n## ")[0]
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    key = api_keys.create(stack.engine, name="guided", role=Role.OPERATOR)
    commands = re.sub(r"(?m)^KEY=.*$", f"KEY={key}", commands)
    commands = re.sub(r"(?m)^API=.*$", f"API={stack.url}{PATH}", commands)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={**os.environ, "no_proxy": "*"},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    first, second, read, closed = [answer["data"] for answer in answers]
    assert first["total"]["by_currency"] == {"GEL": "3.6"}
    assert second["payable"]["USD"] == {"amount": "3.02", "rounding": "0.005"}
    assert read["total"]["converted"].keys() == {"EUR", "GEL", "USD"}
    assert closed["status"] in {"closing", "closed"}
