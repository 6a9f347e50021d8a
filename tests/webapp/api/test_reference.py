"""The pages that show the API: for everybody, from installed packages, within the policy of all pages."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient

from webapp.identity import access
from webapp.identity.access import PUBLIC


def test_everybody_may_read_them(client: FlaskClient):
    answer = client.get("/docs")

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert 'data-document="/api/v1/openapi.json"' in answer.text
    assert "Set-Cookie" not in answer.headers


def test_all_they_load_is_served_here(client: FlaskClient):
    loaded = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs").text)

    assert loaded
    for address in loaded:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200, address


def test_they_have_no_script_or_style_of_their_own(client: FlaskClient):
    page = client.get("/docs")

    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page.text)
    assert "'unsafe" not in page.headers["Content-Security-Policy"]


def test_the_document_and_the_pages_are_all_that_is_public_here(app: Flask):
    rules = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("reference.")]

    assert sorted(rules) == ["reference.show_document", "reference.show_documentation"]
    assert {access.declared(app, endpoint) for endpoint in rules} == {PUBLIC}
