from __future__ import annotations

import pytest

from tests.support.api import Api


def test_a_customer_is_registered_read_and_edited(api: Api):
    api.post(
        "/customers", {"id": "acme", "name": "Acme", "email": "ap@acme.example", "billing_address": "1 Road\nTown"}
    )

    edited = api.patch("/customers/acme", {"name": "Acme Ltd"}).json["data"]

    assert edited == api.get("/customers/acme").json["data"]
    assert (edited["id"], edited["name"], edited["email"]) == ("acme", "Acme Ltd", "ap@acme.example")
    assert edited["billing_address"] == "1 Road\nTown"
    assert edited["version"] == 2


def test_a_taken_id_is_refused(api: Api):
    api.post("/customers", {"id": "taken"})

    answer = api.post("/customers", {"id": "taken"})

    assert (answer.status_code, answer.json["code"], answer.json["details"]["field"]) == (409, "already_exists", "id")


@pytest.mark.parametrize(
    "id_",
    ["a/b", "a b", "ünïcode ₾", "100%", "?", "#", "..;", "a//b", "café/été", "/", "//", "/a", "a/", "//a//", ".", ".."],
)
def test_any_name_of_a_customer_can_be_an_address(api: Api, id_: str):
    from urllib.parse import quote

    api.post("/customers", {"id": id_})
    address = f"/customers/{quote(id_, safe='')}"

    assert api.get(address).json["data"]["id"] == id_
    assert api.patch(address, {"name": "Named"}).json["data"]["name"] == "Named"


@pytest.mark.parametrize("path", ["/customers/nobody", "/customers/a%00b", "/customers/" + "a" * 300, "/customers/%FF"])
def test_who_is_unknown_is_not_found(api: Api, path: str):
    answer = api.get(path)

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert api.patch(path, {"name": "x"}).status_code == 404


def test_a_field_can_be_emptied(api: Api):
    api.post("/customers", {"id": "emptied", "email": "a@b.example"})

    assert api.patch("/customers/emptied", {"email": ""}).json["data"]["email"] == ""


def test_the_list_is_searched_and_paged_newest_first(api: Api):
    for n in range(3):
        api.post("/customers", {"id": f"listed-{n}", "name": "Findable & Co"})

    first = api.get("/customers?q=findable%20%26&limit=2").json
    second = api.get(f"/customers?q=findable%20%26&limit=2&cursor={first['next_cursor']}").json

    assert [customer["id"] for customer in first["data"] + second["data"]] == ["listed-2", "listed-1", "listed-0"]
    assert second["next_cursor"] is None
