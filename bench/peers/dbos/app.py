"""The handlers of the DBOS peer: each act is a workflow of one step, remembered under the caller's key."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dbos import DBOS, SetWorkflowID
from flask import Flask

from bench.peers import ledger
from bench.peers.handlers import app_with, connection


@DBOS.step()
def stored(bill_id: str, key: str, item: dict[str, str]) -> dict[str, str]:
    return ledger.add(connection(), bill_id, key, item)


@DBOS.step()
def closed(bill_id: str) -> dict[str, str]:
    return ledger.close(connection(), bill_id)


@DBOS.workflow()
def add_item(bill_id: str, key: str, item: dict[str, str]) -> dict[str, str]:
    return stored(bill_id, key, item)


@DBOS.workflow()
def close_bill(bill_id: str) -> dict[str, str]:
    return closed(bill_id)


def create_app() -> Flask:
    """Made in each process after the fork: nothing is preloaded."""
    DBOS(
        config={
            "name": "peer",
            "system_database_url": os.environ["DBOS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"),
            "sys_db_pool_size": 32,
            "executor_id": str(os.getpid()),
            "run_admin_server": False,
            "log_level": "WARNING",
        }
    )
    DBOS.launch()

    def add(bill_id: str, key: str, item: Mapping[str, str]) -> dict[str, str]:
        with SetWorkflowID(f"{bill_id}/{key}"):
            return add_item(bill_id, key, dict(item))

    def close(bill_id: str) -> dict[str, str]:
        with SetWorkflowID(f"{bill_id}/close"):
            return close_bill(bill_id)

    return app_with(opened=lambda: ledger.open_bill(connection()), add=add, close=close)
