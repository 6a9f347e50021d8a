"""Keys that are bound to customers: whatever is another's is as if it weren't there."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from billing.errors import InvalidArgument
from billing.ledger import events
from tests.support.api import HUNG, Api, bill_body, in_days
from webapp.identity import api_keys
from webapp.identity.roles import Role
from webapp.identity.scopes import Scope


@pytest.fixture
def own(api: Api) -> str:
    """The customer the key is bound to."""
    return str(api.bill(api.opened())["customer_id"])


@pytest.fixture
def others(api: Api) -> str:
    return str(api.bill(api.opened())["customer_id"])


@pytest.fixture
def bound(engine: Engine, client: FlaskClient, own: str) -> Api:
    """May do everything, for its own customer."""
    return Api(client, api_keys.create(engine, name="bound", scopes=list(Scope), customers=[own]))


CALLS: list[Callable[[Api, str, str], TestResponse]] = [
    lambda api, bill, _: api.get(f"/bills/{bill}"),
    lambda api, bill, _: api.get(f"/bills/{bill}?currency=USD"),
    lambda api, bill, _: api.get(f"/bills/{bill}/line-items"),
    lambda api, bill, _: api.get(f"/bills/{bill}/events"),
    lambda api, bill, item: api.get(f"/bills/{bill}/line-item-requests/{item}"),
    lambda api, bill, _: api.post(f"/bills/{bill}/line-items", HUNG),
    lambda api, bill, _: api.post(f"/bills/{bill}/line-items", HUNG, Idempotency_Key="known"),
    lambda api, bill, _: api.post(f"/bills/{bill}/line-items", HUNG, Prefer="respond-async"),
    lambda api, bill, _: api.post(f"/bills/{bill}/line-items", {**HUNG, "quantity": -1}),
    lambda api, bill, _: api.post(f"/bills/{bill}/line-items/batch", {"line_items": [HUNG]}),
    lambda api, bill, item: api.post(f"/bills/{bill}/line-items/{item}/reversal", {"reason": "mistake"}),
    lambda api, bill, _: api.post(f"/bills/{bill}/period", {"period_end": in_days(20)}),
    lambda api, bill, _: api.post(f"/bills/{bill}/close"),
]


@pytest.mark.parametrize("call", CALLS)
def test_anothers_bill_isnt_there(api: Api, bound: Api, others: str, call: Callable[[Api, str, str], TestResponse]):
    bill_id = api.opened(others)
    item = api.post(f"/bills/{bill_id}/line-items", HUNG, Idempotency_Key="known").json["line_item"]["id"]
    before = api.bill(bill_id)

    foreign, unknown = call(bound, bill_id, item), call(bound, str(uuid4()), item)

    assert (foreign.status_code, foreign.json["code"]) == (404, "not_found")
    assert without_request_id(foreign) == without_request_id(unknown)
    assert api.bill(bill_id) == before


def test_its_own_customers_bill_is_used_as_by_any_key(bound: Api, own: str):
    bill_id = bound.opened(own)
    item = bound.added(bill_id)
    assert bound.post(f"/bills/{bill_id}/line-items/{item['id']}/reversal", {"reason": "twice"}).status_code == 200
    assert bound.get(f"/bills/{bill_id}/events").status_code == 200
    assert bound.post(f"/bills/{bill_id}/close").status_code in {200, 202}


def test_it_adds_to_no_other_bill_after_it_has_added_to_its_own(api: Api, bound: Api, own: str, others: str):
    """The process remembers the key by then, and asks the database nothing about it before an add."""
    mine, theirs = bound.opened(own), api.opened(others)
    for _ in range(2):
        bound.added(mine)
        assert bound.post(f"/bills/{theirs}/line-items", HUNG).status_code == 404
    assert api.bill(theirs)["item_count"] == 0


def test_an_item_of_anothers_bill_isnt_taken_back_through_its_own(api: Api, bound: Api, own: str, others: str):
    foreign = api.added(api.opened(others))["id"]
    mine = bound.opened(own)
    answer = bound.post(f"/bills/{mine}/line-items/{foreign}/reversal", {"reason": "mistake"})
    assert (answer.status_code, answer.json["details"]["reason"]) == (404, "line_item_not_found")
    assert bound.bill(mine)["item_count"] == 0


def test_lists_are_kept_to_its_customers(api: Api, bound: Api, own: str, others: str):
    mine, theirs = bound.opened(own), api.opened(others)

    for query in ("", "?status=open", f"?from={in_days(-2)}&to={in_days(2)}".replace("+", "%2B"), f"?q={own}"):
        answer = bound.get(f"/bills{query}").json["data"]
        assert mine in [bill["id"] for bill in answer], query
        assert {bill["customer_id"] for bill in answer} == {own}, query
    for query in (f"?customer_id={others}", f"?q={others}", f"?q={theirs}"):
        assert bound.get(f"/bills{query}").json["data"] == [], query
    assert [one["id"] for one in bound.get("/customers").json["data"]] == [own]
    assert bound.get(f"/customers?q={others}").json["data"] == []


@pytest.mark.parametrize("kind", ["bills", "line-items", "events"])
def test_exports_are_kept_to_its_customers(api: Api, bound: Api, own: str, others: str, kind: str):
    def exported(by: Api, query: str = "", format_: str = "ndjson") -> str:
        answer = by.get(f"/exports/{kind}?format={format_}{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    mine, theirs = bound.opened(own), api.opened(others)
    bound.added(mine)
    api.added(theirs)
    everything = exported(bound)
    assert mine in everything
    assert everything == exported(api, f"&customer_id={own}")
    assert exported(bound, format_="csv") == exported(api, f"&customer_id={own}", "csv")
    nothing = [f"&customer_id={others}", *([f"&bill_id={theirs}"] if kind != "bills" else [f"&q={theirs}"])]
    for query in nothing:
        assert theirs in exported(api, query)
        assert exported(bound, query) == ""


def test_a_reference_of_another_customer_neither_stands_in_its_way_nor_shows(
    api: Api, bound: Api, own: str, others: str
):
    order = {**HUNG, "source": "shop", "reference": "order-1"}
    api.added(api.opened(others), **{**order, "quantity": 7})
    api.added(api.opened(others), **{**order, "reference": "order-2"})
    first, second = bound.opened(own), bound.opened(own)
    item = bound.added(first, **order)
    rows = {"line_items": [order, {**order, "reference": "order-2"}]}
    outcomes = bound.post(f"/bills/{second}/line-items/batch", rows).json["outcomes"]
    assert [one["outcome"] for one in outcomes] == ["replayed", "added"]
    assert outcomes[0]["line_item"] == item
    assert outcomes[1]["line_item"]["bill_id"] == second
    refused = bound.post(f"/bills/{second}/line-items", {**order, "quantity": 9})
    assert (refused.status_code, refused.json["details"]["reason"]) == (409, "reference_reused")
    assert others not in refused.text


def test_the_feed_of_everybodys_events_isnt_for_it(bound: Api, own: str):
    bound.opened(own)
    for query in ("", "?wait=1", "?type=bill.created", "?limit=0", "?after=x"):
        answer = bound.get(f"/events{query}")
        assert (answer.status_code, answer.json["details"]["reason"]) == (403, "key_bound"), query


def test_pages_of_a_list_go_on_within_them(api: Api, bound: Api, own: str, others: str):
    expected = [bound.opened(own) for _ in range(3)]
    api.opened(others)
    found, cursor = [], ""
    while cursor is not None:
        page = bound.get(f"/bills?limit=2{cursor and f'&cursor={cursor}'}").json
        found += [bill["id"] for bill in page["data"]]
        cursor = page["next_cursor"]
    assert set(expected) <= set(found)
    assert len(found) == len(expected) + 1  # the one its customer came with


def test_nothing_is_opened_for_another_customer_and_nobody_is_registered(api: Api, bound: Api, others: str):
    nobody = f"nobody-{uuid4().hex}"
    refused = [bound.post("/bills", bill_body(others)), bound.post("/bills", bill_body(nobody))]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert without_request_id(refused[0]) == without_request_id(refused[1])
    assert refused[0].json["details"]["reason"] == "key_bound"
    assert api.get(f"/customers/{nobody}").status_code == 404


def test_other_customers_arent_there_and_none_is_registered(api: Api, bound: Api, own: str, others: str):
    assert bound.get(f"/customers/{own}").status_code == 200
    assert bound.patch(f"/customers/{own}", {"name": "Acme"}).json["data"]["name"] == "Acme"
    foreign = [bound.get(f"/customers/{others}"), bound.patch(f"/customers/{others}", {"name": "Mine"})]
    unknown = [bound.get(f"/customers/{uuid4()}"), bound.patch(f"/customers/{uuid4()}", {"name": "Mine"})]
    assert [without_request_id(answer) for answer in foreign] == [without_request_id(answer) for answer in unknown]
    assert api.get(f"/customers/{others}").json["data"]["name"] == ""
    for id_ in (others, f"new-{uuid4().hex}"):
        assert bound.post("/customers", {"id": id_}).json["details"]["reason"] == "key_bound"


def test_what_concerns_everybody_it_decides_nothing_about(bound: Api):
    assert bound.get("/rates").status_code == 200
    assert bound.get("/currencies").status_code == 200
    assert bound.patch("/currencies", {"offered": ["USD"]}).json["details"]["reason"] == "key_bound"
    assert bound.post(f"/rates/{uuid4()}/accept").json["details"]["reason"] == "key_bound"


@pytest.mark.usefixtures("nothing_to_remember_anew")
def test_an_add_takes_one_statement_all_the_same(bound: Api, own: str, monkeypatch: pytest.MonkeyPatch):
    """Whose the bill is was asked once."""
    bill_id = bound.opened(own)
    bound.added(bill_id)
    statements = []
    execute = psycopg.Cursor.execute

    def counted(cursor: psycopg.Cursor, query: str, *given: object, **options: object) -> psycopg.Cursor:
        statements.append(str(query))
        return execute(cursor, query, *given, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    bound.added(bill_id)
    assert len(statements) == 1


def test_revoked_it_is_nobodys_whatever_it_asks_for(engine: Engine, api: Api, bound: Api, own: str, others: str):
    mine, theirs = bound.opened(own), api.opened(others)
    bound.added(mine)
    api_keys.revoke(engine, next(key.id for key in reversed(api_keys.every(engine)) if key.customers == (own,)))
    for bill_id in (mine, theirs, uuid4()):
        assert bound.post(f"/bills/{bill_id}/line-items", HUNG).status_code == 401


def test_several_customers_and_the_account_of_the_name(engine: Engine, client: FlaskClient, own: str, others: str):
    """A key of the same name, bound or not, goes on with the idempotency keys of the one before."""
    whole = Api(client, api_keys.create(engine, name="replaced", role=Role.OPERATOR))
    body = bill_body(own)
    opened = whole.post("/bills", body, Idempotency_Key="first").json["data"]["id"]
    both = Api(client, api_keys.create(engine, name="replaced", role=Role.OPERATOR, customers=[others, own, own]))
    again = both.post("/bills", body, Idempotency_Key="first")
    assert (again.json["data"]["id"], again.headers["Idempotent-Replayed"]) == (opened, "true")
    assert {one["id"] for one in both.get("/customers").json["data"]} == {own, others}
    newest = api_keys.every(engine)[-1]
    assert newest.customers == tuple(sorted((own, others)))
    (created,) = events.of_subject(engine, newest.id, after_version=0, limit=9)
    assert len(created.data["customers"]) == 2
    assert all(UUID(id_) for id_ in created.data["customers"])


def test_it_is_bound_to_customers_that_there_are(engine: Engine, own: str):
    with pytest.raises(InvalidArgument, match="no customer has the id nobody"):
        api_keys.create(engine, name="bound", role=Role.VIEWER, customers=[own, "nobody"])
    with pytest.raises(InvalidArgument, match="more than 100"):
        api_keys.create(engine, name="bound", role=Role.VIEWER, customers=[f"c-{n}" for n in range(101)])


def without_request_id(answer: TestResponse) -> object:
    body = answer.json
    return answer.status_code, body["code"], body["message"], {**body["details"], "request_id": ""}
