"""The seller, with its logo."""

from __future__ import annotations

from io import BytesIO

import pytest

from billing.ledger import seller
from billing.logo import Logo
from tests.support.pictures import PHOTO, jpeg, png

ADDRESS = "/settings/seller"
NAMED = {"name": "Pave Ltd", "address": "1 Road\nTown", "tax_id": "GE1"}


@pytest.fixture(autouse=True)
def _nobody(engine, origin):
    seller.change(engine, origin, seller.Seller("", "", ""))


def save(admin, status=303, logo=None, file="logo.png", **typed):
    form = {**admin.open(ADDRESS).form(ADDRESS), **NAMED, **typed}
    form.pop("remove_logo", None) if "remove_logo" not in typed else None
    form["logo"] = (BytesIO(logo or b""), file if logo else "")
    return admin.send(ADDRESS, form, status=status)


def test_settings_lead_to_the_first_tab(viewer, admin):
    viewer.answer = viewer.client.get("/settings")
    assert viewer.went_to == ADDRESS
    tabs = admin.open("/settings/currencies").all("nav", aria_label="Settings") or admin.open(ADDRESS).with_class(
        "tabs"
    )
    assert "Currencies" in tabs[0].text
    (open_tab,) = admin.open(ADDRESS).with_class("tabs")[0].all("a", **{"aria-current": "page"})
    assert open_tab.text == "Seller"


def test_the_seller_is_saved_with_a_logo_and_keeps_it(admin, viewer, engine):
    save(admin, logo=png())
    save(admin, name="Pave Limited")
    stored = seller.read(engine)
    assert stored == seller.Seller("Pave Limited", "1 Road\nTown", "GE1", Logo.parse(png()).hash)
    (picture,) = viewer.open(ADDRESS).all("img")
    address = picture.attributes["src"]
    assert address == f"/logos/{stored.logo}"
    page = admin.open(ADDRESS)
    assert "by admin@example.com: name" in page.with_class("last-change")[0].text


def test_a_logo_is_served_to_everybody_and_kept_for_ever(admin, visitor, app):
    save(admin, logo=PHOTO)
    answer = app.test_client().get(f"/logos/{Logo.parse(PHOTO).hash}")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, PHOTO, "image/jpeg")
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for unknown in ("0" * 64, "nothing", "%00"):
        visitor.open(f"/logos/{unknown}", status=404)


def test_it_can_go_without_one_again(admin, engine):
    save(admin, logo=png())
    save(admin, remove_logo="yes")
    assert seller.read(engine).logo is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "The logo must be a PNG or JPEG picture."),
        (png()[:-3], "The logo is damaged, or not the kind of picture that it seems to be."),
        (jpeg(), "The logo is damaged: its picture cannot be read."),
        (png(8, 8), "The logo must be 16 to 2000 pixels wide and high."),
        (png() + b"\0" * 256 * 1024, "The logo cannot be larger than 256 KB."),
    ],
)
def test_a_bad_logo_is_said_beside_it_and_what_was_typed_is_kept(admin, engine, content, sentence):
    page = save(admin, status=400, logo=content)
    assert page.id("field-logo-error").text == sentence
    assert page.id("field-name").attributes["value"] == "Pave Ltd"
    assert seller.read(engine).name == ""


def test_other_mistakes_say_that_the_file_is_to_be_chosen_again(admin):
    page = save(admin, status=400, logo=png(), name=" ", tax_id="GE2")
    assert page.id("field-name-error").text == "Name is required."
    assert "choose" in page.text
    assert page.id("field-tax_id").attributes["value"] == "GE2"


def test_megabytes_are_refused_whole(admin):
    body = {"data": b"-" * 5_000_000, "content_type": "multipart/form-data; boundary=b"}
    assert admin.client.post(ADDRESS, **body).status_code == 413


def test_another_ones_change_is_not_overwritten_unseen(admin, engine, origin):
    seen = admin.open(ADDRESS).form(ADDRESS)["version"]
    seller.change(engine, origin, seller.parse("Theirs", "", ""))
    page = save(admin, status=409, version=seen, logo=png())
    assert "Somebody else changed the seller meanwhile" in page.text
    assert page.with_class("letterhead-name")[0].text == "Theirs"
    assert page.id("field-name").attributes["value"] == "Pave Ltd"
    save(admin, version=page.form(ADDRESS)["version"])
    assert seller.read(engine).name == "Pave Ltd"


def test_sent_twice_it_is_one_change(admin, engine):
    form = {**admin.open(ADDRESS).form(ADDRESS), **NAMED}
    for _ in range(2):
        admin.send(ADDRESS, form, status=303)
    before = seller.read_version(engine)[1]
    admin.send(ADDRESS, form, status=303)
    assert seller.read_version(engine)[1] == before


def test_others_see_it_and_change_nothing(viewer, operator, engine, origin):
    seller.change(engine, origin, seller.parse("Pave Ltd", "", ""))
    page = viewer.open(ADDRESS)
    assert page.with_class("letterhead-name")[0].text == "Pave Ltd"
    assert not page.all("form", action=ADDRESS)
    for caller in (viewer, operator):
        assert caller.client.post(ADDRESS, data=NAMED).status_code == 403
