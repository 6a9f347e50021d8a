"""The Restate peer: a bill is a virtual object, each act a durable step of it. Served by hypercorn, called by Restate.

Its ingress takes the calls itself: POST /Bill/<id>/add with an Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import restate
from psycopg_pool import ConnectionPool

from bench.peers import ledger

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=16, kwargs={"autocommit": True}, open=False)
bill = restate.VirtualObject("Bill")


@bill.handler("add")
async def add(context: restate.ObjectContext, item: dict[str, str]) -> dict[str, Any]:
    key = str(context.uuid())

    async def store() -> dict[str, str]:
        return await asyncio.to_thread(_stored, context.key(), key, item)

    return {"totals": await context.run_typed("store", store)}


@bill.handler("close")
async def close(context: restate.ObjectContext) -> dict[str, Any]:
    async def store() -> dict[str, str]:
        return await asyncio.to_thread(_closed, context.key())

    return {"payable": await context.run_typed("close", store)}


def _stored(bill_id: str, key: str, item: dict[str, str]) -> dict[str, str]:
    pool.open()
    with pool.connection() as database:
        try:
            return ledger.add(database, bill_id, key, item)
        except ledger.Refused as refused:
            raise restate.TerminalError("refused") from refused


def _closed(bill_id: str) -> dict[str, str]:
    pool.open()
    with pool.connection() as database:
        return ledger.close(database, bill_id)


app = restate.app([bill])
