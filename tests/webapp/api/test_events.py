from __future__ import annotations

from tests.support.api import Api, in_days


def test_every_change_of_a_bill_is_told_in_order(api: Api, close):
    bill_id = api.opened()
    item = api.added(bill_id)
    api.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "no"}, X_Request_Id="trace-7")
    api.post(f"/bills/{bill_id}/period", {"period_end": in_days(44)})
    close(bill_id)

    events = api.get(f"/bills/{bill_id}/events").json["data"]

    assert [(event["version"], event["type"]) for event in events] == [
        (1, "bill.created"),
        (2, "line_items.added"),
        (3, "line_item.reversed"),
        (4, "bill.period_changed"),
        (5, "bill.close_requested"),
        (6, "bill.closed"),
    ]
    assert events[2]["request_id"] == "trace-7"
    assert events[0]["actor"]["kind"] == "api_key"
    assert events[0]["actor"]["name"] == "ledger-sync"


def test_a_reader_goes_on_after_the_version_it_has_seen(api: Api):
    bill_id = api.opened()
    for _ in range(3):
        api.added(bill_id)

    first = api.get(f"/bills/{bill_id}/events?limit=2").json
    rest = api.get(f"/bills/{bill_id}/events?after={first['next_after']}").json

    assert [event["version"] for event in first["data"] + rest["data"]] == [1, 2, 3, 4]
    assert rest["next_after"] is None


def test_an_unknown_bill_has_none(api: Api):
    assert api.get("/bills/01890a5d-ac96-774b-bcce-b302099a8057/events").status_code == 404
