"""Histories recorded from earlier versions of the workflow still replay: bills on their way survive a deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workflows.bill import BillWorkflow

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_replays(path: Path) -> None:
    history = WorkflowHistory.from_json("bill-recorded", path.read_text())
    replayer = Replayer(workflows=[BillWorkflow], data_converter=pydantic_data_converter)
    asyncio.run(replayer.replay_workflow(history))


def test_there_are_histories_of_every_way_to_end() -> None:
    assert {path.stem for path in HISTORIES} >= {"closed_by_hand", "closed_by_timer", "continued_as_new"}
