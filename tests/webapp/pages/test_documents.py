"""A bill's PDF and CSV for staff."""

from __future__ import annotations

from webapp.documents import pdf
from webapp.pages import documents

PLACE = "00000000-0000-7000-8000-000000000000"


def test_whoever_sees_a_bill_gets_its_documents(viewer, new_bill, add, monkeypatch):
    monkeypatch.setattr(pdf, "WITHIN_S", 200)  # on a busy machine, too
    bill = new_bill()
    add(bill, "Card processing")
    answer = viewer.client.get(f"/bills/{bill.id}/document.pdf?currency=GEL")
    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    assert answer.data.startswith(b"%PDF-")
    answer = viewer.client.get(f"/bills/{bill.id}/line-items.csv")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert "1,Card processing,1,1,1,USD," in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_nobody_else_does(visitor, new_bill):
    bill = new_bill()
    for name in ("document.pdf", "line-items.csv"):
        assert visitor.client.get(f"/bills/{bill.id}/{name}").status_code == 303


def test_a_bill_that_is_not_there_has_none(viewer):
    for name in ("document.pdf", "line-items.csv"):
        assert viewer.client.get(f"/bills/{PLACE}/{name}").status_code == 404


def test_a_bill_that_is_too_long_says_so(viewer, new_bill, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise documents.TooManyLines

    monkeypatch.setattr(documents, "pdf_answer", refuse)
    answer = viewer.client.get(f"/bills/{new_bill().id}/document.pdf")
    assert answer.status_code == 409
    assert "Its CSV has all of them" in answer.text


def test_a_bill_that_takes_too_long_says_so(viewer, new_bill, monkeypatch):
    def give_up(*_: object, **__: object) -> None:
        raise documents.TakesTooLong

    monkeypatch.setattr(documents, "pdf_answer", give_up)
    answer = viewer.client.get(f"/bills/{new_bill().id}/document.pdf")
    assert answer.status_code == 503
    assert "CSV has all of its lines" in answer.text
