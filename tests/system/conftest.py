from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from embedded.temporal import Temporal
from tests.support.agreement import Staff, assert_agree
from tests.support.integrator import Integrator
from tests.support.stack import Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

AssertAgree = Callable[..., None]


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Variables that a module's processes have beyond the usual ones."""
    return {}


@pytest.fixture(scope="module")
def stack(run_dir: Path, database_url: str, temporal: Temporal, environment: dict[str, str]) -> Iterator[Stack]:
    with Stack(run_dir / f"stack-{uuid4().hex[:8]}", database_url, temporal, **environment) as started:
        started.start()
        yield started
        run_all(started)
        assert_reconciled(started)
        assert not started.web.unforeseen, started.web.unforeseen


@pytest.fixture(autouse=True)
def _all_run(stack: Stack) -> None:
    """Each test finds web and worker running, whatever the one before did to them."""
    run_all(stack)


def run_all(stack: Stack) -> None:
    for program in (stack.web, stack.worker):
        if not program.child.running:
            program.start()


def assert_reconciled(stack: Stack) -> None:
    """Of all bills that the module's tests left behind, also those that no test looked at in the end."""
    command = [sys.executable, "-m", "cli.main", "reconcile", "--all", "--wait", "60"]
    done = subprocess.run(command, env=stack.environment, text=True, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def integrator(stack: Stack) -> Iterator[Integrator]:
    caller = Integrator(stack.url, api_keys.create(stack.engine, name=uuid4().hex, role=Role.OPERATOR))
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def staff(stack: Stack) -> Iterator[Staff]:
    one = Staff(stack)
    yield one
    one.close()


@pytest.fixture
def agree(stack: Stack, integrator: Integrator, staff: Staff) -> AssertAgree:
    """Asserts that everybody agrees about bills of which the test's integrator alone asked for line items."""
    return lambda *bill_ids: assert_agree(stack, integrator, staff, *bill_ids)
