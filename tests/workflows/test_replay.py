"""Histories recorded from earlier versions of the workflow still replay: bills on their way survive a deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from workflows.bill import BillWorkflow
from workflows.imports import ImportWorkflow
from workflows.webhooks import WebhookWorkflow

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))
IMPORTS = sorted((Path(__file__).with_name("histories") / "imports").glob("*.json"))
WEBHOOKS = sorted((Path(__file__).with_name("histories") / "webhooks").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json("bill-recorded", path.read_text())
    replayer = Replayer(workflows=[BillWorkflow], data_converter=pydantic_data_converter)
    asyncio.run(replayer.replay_workflow(history))


@pytest.mark.parametrize("path", WEBHOOKS, ids=lambda path: path.stem)
def test_a_recorded_history_of_a_webhook_endpoint_replays(path: Path) -> None:
    history = WorkflowHistory.from_json("webhook-recorded", path.read_text())
    replayer = Replayer(workflows=[WebhookWorkflow], data_converter=pydantic_data_converter)
    asyncio.run(replayer.replay_workflow(history))


@pytest.mark.parametrize("path", IMPORTS, ids=lambda path: path.stem)
def test_a_recorded_history_of_an_import_replays(path: Path) -> None:
    history = WorkflowHistory.from_json("import-recorded", path.read_text())
    replayer = Replayer(workflows=[ImportWorkflow], data_converter=pydantic_data_converter)
    asyncio.run(replayer.replay_workflow(history))


def test_there_are_histories_of_webhook_endpoints_and_of_imports() -> None:
    assert {path.stem for path in WEBHOOKS} >= {"woken_and_over", "continued_as_new"}
    assert {path.stem for path in IMPORTS} >= {"over", "continued_as_new"}


def test_there_are_histories_of_every_way_to_end() -> None:
    assert {path.stem for path in HISTORIES} >= {
        "closed_by_hand",
        "closed_by_timer",
        "continued_as_new",
        "told_the_last",
    }


def test_a_run_that_was_told_by_a_worker_of_before_needs_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It recorded by itself what it heard: a worker that took it for recorded would contradict its history."""
    monkeypatch.setattr("temporalio.workflow.patched", lambda _id: True)
    path = Path(__file__).with_name("histories") / "told_the_last_by_before.json"
    history = WorkflowHistory.from_json("bill-recorded", path.read_text())
    replayer = Replayer(
        workflows=[BillWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )

    with pytest.raises(NondeterminismError):
        asyncio.run(replayer.replay_workflow(history))
