"""Files of line items, and an import carried out as its workflow would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from werkzeug.test import TestResponse

from billing.ledger import importing, imports
from billing.ledger.imports import Import
from billing.origin import Origin
from tests.support.api import HUNG, Api
from tests.support.ledger import OFFERED
from webapp.imports.files import ReceivedFile
from webapp.imports.staging import staged

NDJSON = "application/x-ndjson"
CSV = "text/csv"


def row(**values: Any) -> dict[str, Any]:
    return {**HUNG, **values}


def ndjson(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def csv_of(rows: Iterable[Mapping[str, Any]], *names: str, delimiter: str = ",") -> bytes:
    lines = io.StringIO()
    writer = csv.DictWriter(lines, names or tuple(HUNG), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue().encode()


def sent(api: Api, content: bytes, bill_id: str | None = None, *, media: str = NDJSON, **headers: str) -> TestResponse:
    """The answer to a file."""
    path = f"/imports?bill_id={bill_id}" if bill_id else "/imports"
    return api.post(path, content, Content_Type=media, **headers)


def carried_out(engine: Engine, import_id: str, offered: Iterable[str] = OFFERED) -> None:
    while not importing.take_some(engine, UUID(import_id), tuple(offered)).is_over:
        pass


def imported(api: Api, engine: Engine, content: bytes, bill_id: str | None = None, **given: Any) -> dict[str, Any]:
    """The import once it is over, with its `report`."""
    answer = sent(api, content, bill_id, **given)
    assert answer.status_code == 202, answer.text
    import_id = answer.json["data"]["id"]
    carried_out(engine, import_id)
    return {**api.get(f"/imports/{import_id}").json["data"], "report": report_of(api, import_id)}


def report_of(api: Api, import_id: str) -> list[dict[str, Any]]:
    answer = api.get(f"/imports/{import_id}/report?format=ndjson")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def stored(engine: Engine, origin: Origin, rows: Iterable[Any], bill_id: UUID | None = None) -> Import:
    """An import that nobody has begun, as the call stores it."""
    content = ndjson(rows)
    file = ReceivedFile(io.BytesIO(content), sha256(content).digest())
    with staged(file, "ndjson", OFFERED, bill_id) as lines:
        return imports.create(engine, origin, lines, bill_id=bill_id)[0]
