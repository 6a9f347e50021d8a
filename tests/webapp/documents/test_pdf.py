"""The bill as a PDF, read back as an archive or a screen reader would."""

from __future__ import annotations

import io
import os
import re
import struct
import time
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient
from pypdf import PdfReader

from billing.bill import Bill
from billing.ledger import seller
from billing.logo import Logo
from tests.support.ledger import OpenBill
from tests.support.sharing import LINES, Sharing
from webapp.documents import answers, document, pdf
from webapp.formatting import figure

HOSTILE = '#pagebreak() *bold* <b>x</b> $sum_x$ #sys.inputs @ref \\ "quoted" // remark /* and */ `raw`'


def downloaded(client: FlaskClient, sharing: Sharing, bill: Bill, query: str = "") -> bytes:
    answer = client.get(f"{sharing.address(bill)}/bill.pdf{query}")
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/pdf"
    return answer.data


def text_of(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())


@pytest.fixture
def bill(sharing: Sharing, open_bill: OpenBill) -> Bill:
    """Of four lines, one of which takes another back."""
    opened = open_bill()
    items = sharing.add(opened, *LINES)
    sharing.reverse(items[1], "Entered twice")
    return opened


def test_it_says_what_the_page_says(client: FlaskClient, sharing: Sharing, bill: Bill):
    seller.change(sharing.engine, sharing.origin, seller.parse("Acme LLC", "1 Rustaveli Ave\nTbilisi", "GE 405"))
    said = text_of(downloaded(client, sharing, bill, "?currency=GEL"))
    for words in (
        "Open bill",
        "Open, still accruing",
        "Acme LLC",
        "1 Rustaveli Ave",
        "Tax id GE 405",
        "2,418,000 0.00000125 3.0225 EUR",
        "Taken back by line 4",
        "Takes back line 2: Entered twice",
        "36,000 JPY 154.62 2.7052 629.85 GEL",
        "633.45 GEL",
        "Indicative",
        "sample rates, not for real bills",
        "no tax is computed",
        "This bill is not final",
        "Page 1 of 1",
    ):
        assert words in said, words


def test_a_closed_bill_has_its_number_and_says_nothing_of_being_open(client: FlaskClient, sharing: Sharing, bill: Bill):
    sharing.close(bill)
    said = text_of(downloaded(client, sharing, bill))
    assert re.search(r"Bill No\. \d+", said)
    assert "Rates frozen when the bill closed" in said
    assert "not final" not in said
    assert "accruing" not in said


def test_ten_lines_fit_on_one_page(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, *LINES, *LINES, *LINES, LINES[0])
    sharing.close(bill)
    assert len(PdfReader(io.BytesIO(downloaded(client, sharing, bill))).pages) == 1


def test_headings_are_repeated_and_pages_counted(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add_many(bill, 120)
    pages = PdfReader(io.BytesIO(downloaded(client, sharing, bill))).pages
    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        said = " ".join(page.extract_text().split())
        assert f"Page {number} of {len(pages)}" in said
        if re.search(r"Fee \d", said):
            assert "No. Description Quantity Unit price Amount" in said


def test_fonts_are_embedded_and_everything_is_tagged(client: FlaskClient, sharing: Sharing, bill: Bill):
    read = PdfReader(io.BytesIO(downloaded(client, sharing, bill)))
    catalog: Any = read.trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"] is True or catalog["/MarkInfo"]["/Marked"].value is True
    assert "/StructTreeRoot" in catalog
    assert catalog["/Lang"].startswith("en")
    assert "Open bill" in read.metadata.title
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    xmp = read.xmp_metadata.stream.get_data().decode()
    assert re.search(r"pdfuaid:part\D+1", xmp)
    assert re.search(r"pdfaid:part\D+2", xmp)
    fonts = [font.get_object() for page in read.pages for font in page["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert descriptor.keys() & {"/FontFile", "/FontFile2", "/FontFile3"}, font["/BaseFont"]
        assert "/ToUnicode" in font


def test_the_same_state_gives_the_same_bytes(client: FlaskClient, sharing: Sharing, bill: Bill, monkeypatch):
    first = downloaded(client, sharing, bill)
    monkeypatch.setattr(pdf, "_kept", pdf.Kept())
    time.sleep(1.1)  # dates in a PDF have seconds
    again = downloaded(client, sharing, bill)
    assert first == again
    read = PdfReader(io.BytesIO(first))
    assert read.metadata.creation_date is not None
    sharing.add(bill, LINES[0])
    assert downloaded(client, sharing, bill) != first


def test_nobodys_words_are_markup(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, (HOSTILE, "1", "1", "USD"))
    seller.change(sharing.engine, sharing.origin, seller.parse(HOSTILE, HOSTILE, "GE"))
    content = downloaded(client, sharing, bill)
    assert len(PdfReader(io.BytesIO(content)).pages) == 1
    assert text_of(content).replace(" ", "").count(HOSTILE.replace(" ", "")) >= 3
    seller.change(sharing.engine, sharing.origin, seller.parse("Acme LLC", "", ""))


def test_currencies_have_their_own_minor_units(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    sharing.add(bill, ("Yen", "1", "0.5", "JPY"), ("Dinar", "3", "0.4255", "KWD"))
    said = text_of(downloaded(client, sharing, bill))
    assert "JPY 0.5 JPY +0.5 JPY 1 JPY" in said
    assert "KWD 1.2765 KWD +0.0005 KWD 1.277 KWD" in said


@pytest.mark.parametrize(
    "words",
    [
        "ქართული ენა",
        "株式会社さくら",
        "مرحبا بالعالم",
        "שלום עולם",
        "ไทย",
        "😀",
        "\ue000",
        "a\u200bb\u202ec\u00adx",
        "x" * 500,
    ],
)
def test_any_script_and_any_length_makes_a_document(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill, words: str
):
    bill = open_bill()
    sharing.add(bill, (words, "1", "1", "USD"))
    assert len(PdfReader(io.BytesIO(downloaded(client, sharing, bill))).pages) == 1


def test_the_longest_figures_fit(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    (item,) = sharing.add(bill, ("Longest", "999.999999", "999999999999.999999999999", "USD"))
    said = text_of(downloaded(client, sharing, bill))
    assert f"999.999999 999,999,999,999.999999999999 {figure(item.total)} USD" in said


def test_an_empty_bill_is_a_document_too(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    bill = open_bill()
    assert "No lines." in text_of(downloaded(client, sharing, bill))
    sharing.close(bill)
    assert "Payable Nothing" in text_of(downloaded(client, sharing, bill))


def test_the_sellers_logo_is_in_it(client: FlaskClient, sharing: Sharing, open_bill: OpenBill):
    chosen = seller.parse("Logo LLC", "", "")
    seller.change(sharing.engine, sharing.origin, chosen, new_logo=Logo.parse(a_png()))
    bill = open_bill()
    address = sharing.address(bill)
    read = PdfReader(io.BytesIO(client.get(f"{address}/bill.pdf").data))
    assert len(read.pages[0].images) == 1
    assert client.get(f"{address}/logo").data == a_png()
    assert f"{address}/logo" in client.get(address).text
    seller.change(sharing.engine, sharing.origin, seller.parse("Acme LLC", "", ""))


def a_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 32, 16, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x0b\x6b\x5d" * 32) * 16)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_bill_that_is_too_long_is_refused_with_a_way_out(
    client: FlaskClient, sharing: Sharing, bill: Bill, monkeypatch
):
    monkeypatch.setattr(answers, "MOST_LINES", 3)
    answer = client.get(f"{sharing.address(bill)}/bill.pdf")
    assert answer.status_code == 409
    assert "The CSV file has all of them" in answer.text


def test_so_many_are_made_at_once_and_others_come_back(client: FlaskClient, sharing: Sharing, bill: Bill, monkeypatch):
    address = f"{sharing.address(bill)}/bill.pdf?currency=CHF"
    monkeypatch.setattr(pdf, "_places", pdf.Places(1, 1))
    reads, read = [], document.read
    monkeypatch.setattr(
        document, "read", lambda *given, limit, **more: reads.append(limit) or read(*given, limit=limit, **more)
    )
    with pdf.place("somebody else"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
        assert reads == [0], "who is refused has no line read"
    assert client.get(address).status_code == 200
    assert reads == [0, 0, pdf.MOST_LINES]


def test_who_asks_for_every_currency_waits_for_no_more_than_two_and_refuses_nobody_else(
    client: FlaskClient, sharing: Sharing, bill: Bill, monkeypatch
):
    monkeypatch.setattr(pdf, "_places", pdf.Places(pdf.AT_ONCE + pdf.WAITING, pdf.A_VIEWER))
    link = sharing.link(bill)
    address = f"{sharing.address_of(link.id)}/bill.pdf"
    with pdf.place(f"link:{link.id}"), pdf.place(f"link:{link.id}"):
        assert client.get(f"{address}?currency=JPY").status_code == 429
        assert client.get(f"{sharing.address(bill)}/bill.pdf?currency=JPY").status_code == 200
    assert client.get(f"{address}?currency=JPY").status_code == 200


def test_places_are_given_back_whatever_happens_and_nobody_is_kept_in_mind():
    places = pdf.Places(2, 1)
    with pytest.raises(ZeroDivisionError), places.one("a"), places.one("b"):
        raise ZeroDivisionError
    assert not places._taken
    with places.one("a"), pytest.raises(pdf.TooManyDocuments), places.one("a"):
        pass
    assert not places._taken


def test_a_document_that_takes_too_long_is_said_to_with_a_way_out(
    client: FlaskClient, sharing: Sharing, bill: Bill, monkeypatch
):
    monkeypatch.setattr(pdf, "WITHIN_S", 0.01)
    answer = client.get(f"{sharing.address(bill)}/bill.pdf?currency=GBP")
    assert answer.status_code == 503
    assert "takes too long" in answer.text
    assert "The CSV file has all lines" in answer.text


def test_what_was_made_is_remembered_within_bounds():
    kept = pdf.Kept()
    for n in range(5):
        kept.keep(str(n), bytes(pdf.KEPT_BYTES // 3))
    assert kept.find("0") is None
    assert kept.find("4") is not None
    assert sum(map(len, kept.files.values())) <= pdf.KEPT_BYTES


def test_a_thousand_lines_take_no_more_than_seconds_of_a_processor(
    client: FlaskClient, sharing: Sharing, open_bill: OpenBill
):
    bill = open_bill()
    sharing.add_many(bill, 1_000)
    began_s = processor_s()
    content = downloaded(client, sharing, bill)
    took_s = processor_s() - began_s
    assert "Fee 1000" in text_of(content)
    assert 0 < took_s < 8, f"{took_s:.1f} s"


def processor_s() -> float:
    """Of this process and those it waited for: unlike a clock's time, hardly more on a machine with other work."""
    return sum(os.times()[:4])
