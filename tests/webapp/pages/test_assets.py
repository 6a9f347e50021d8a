"""Styles, scripts, the font."""

import base64
import hashlib
import re
from pathlib import Path

import pytest


def test_every_asset_of_a_page_is_ours_and_kept_for_ever(visitor):
    visitor.open("/session/new")
    addresses = set(re.findall(r'(?:href|src)="([^"#]+)"', visitor.answer.text))
    assert len(addresses) >= 6
    for address in addresses:
        assert address.startswith("/assets/")
        answer = visitor.client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["Cache-Control"]
        answer.close()


def test_an_address_of_older_content_gets_the_present_one_for_a_short_time(visitor):
    answer = visitor.client.get("/assets/000000000000/console.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    answer.close()


def test_nothing_else_is_served(visitor):
    for name in ("app.py", "..%2f..%2fwebapp%2fapp.py", "htmx-2.js", "nothing"):
        assert visitor.client.get(f"/assets/000000000000/{name}").status_code == 404


def test_no_page_has_script_or_style_of_its_own(operator):
    for address in ("/bills", "/bills/new", "/customers", "/rates"):
        operator.open(address)
        assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", operator.answer.text)
    assert operator.answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("address", ["/session/new", "/nothing", "/docs"])
def test_a_script_is_run_only_as_it_was_when_the_page_was_made(visitor, address: str):
    page = visitor.client.get(address).text
    scripts = re.findall(r"<script[^>]*>", page)
    assert len(scripts) == 2
    for script in scripts:
        ((source, integrity),) = re.findall(r'src="([^"]+)" integrity="sha256-([^"]+)"', script)
        answer = visitor.client.get(source)
        assert base64.b64encode(hashlib.sha256(answer.data).digest()).decode() == integrity
        answer.close()


def test_no_template_has_a_script_that_could_be_another():
    templates = Path(__file__).resolve().parents[3] / "templates"
    scripts = [tag for file in templates.rglob("*.html") for tag in re.findall(r"<script.*", file.read_text())]
    assert len(scripts) == 6
    assert all("integrity=" in script for script in scripts)
