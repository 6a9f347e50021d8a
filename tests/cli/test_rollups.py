"""`pave rollups`."""

from __future__ import annotations

from click.testing import CliRunner
from sqlalchemy import Engine, text

from billing.ledger import line_items, overview
from billing.ledger.database import transaction
from billing.origin import Origin
from cli import rollups
from tests.support.ledger import OpenBill, draft


def test_the_log_is_counted_anew(engine: Engine, origin: Origin, open_bill: OpenBill, monkeypatch) -> None:
    line_items.add(engine, origin, open_bill().id, draft())
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO accruing VALUES ('USD', 7, 7, 7)"))
    monkeypatch.setattr(rollups, "engine", lambda: engine)
    done = CliRunner().invoke(rollups.rollups, ["rebuild"])
    assert done.output == "3 events counted\n"
    found = overview.read(engine, currency="USD", days=1, bills=1).accruing
    assert [(line.bills, line.payable.currency.code, str(line.payable.amount)) for line in found] == [
        (1, "GEL", "3.60")
    ]
