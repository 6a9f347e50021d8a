"""The floor that fans out: commits an item as the floor does, then publishes it to nginx with nchan.

Served by gunicorn with the project's settings: `bench.support.fanout:create_app()`. A message is as long as the
system's own (MESSAGE_BYTES), so that both carry as much to each viewer.
"""

import http.client
import json
import os
import threading
import uuid
from decimal import Decimal

import psycopg
from flask import Flask, request

from bench.support.floor import INSERT, LOCK

INSERT_AND_SAY = f"{INSERT} RETURNING position"


def create_app() -> Flask:
    app = Flask(__name__)
    kept = threading.local()
    padding = "x" * int(os.environ["MESSAGE_BYTES"])

    def connection() -> psycopg.Connection:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(os.environ["DATABASE_URL"])
        return kept.connection

    def publish(bill_id: uuid.UUID, message: str) -> None:
        if not hasattr(kept, "nginx"):
            kept.nginx = http.client.HTTPConnection("127.0.0.1", int(os.environ["NGINX_PORT"]))
        kept.nginx.request("POST", f"/publish/{bill_id}", message.encode())
        answer = kept.nginx.getresponse()
        answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"nchan answered {answer.status}")

    @app.post("/bills/<uuid:bill_id>/line-items")
    def add_line_item(bill_id: uuid.UUID) -> dict[str, str]:
        asked = request.get_json()
        quantity, unit_price = Decimal(asked["quantity"]), Decimal(asked["unit_price"])
        item_id, total = uuid.uuid4(), quantity * unit_price
        database = connection()
        database.execute(LOCK, [bill_id])
        values = [asked["description"], asked["currency"], quantity, unit_price, total]
        row = database.execute(INSERT_AND_SAY, [bill_id, item_id, *values]).fetchone()
        database.commit()
        assert row
        publish(bill_id, json.dumps({"version": row[0], "total": str(total), "html": padding}, separators=(",", ":")))
        return {"id": str(item_id), "total": str(total)}

    @app.get("/healthz")
    def live() -> str:
        return "ok"

    return app
