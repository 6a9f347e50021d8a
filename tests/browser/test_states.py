"""That the list of states leaves no page out."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from flask import Flask
from werkzeug.routing import MapAdapter, RequestRedirect

from tests.browser.states import STATES, State
from webapp.app import create_app
from webapp.config import Config
from webapp.modes import PREFIX

# Addresses that a browser gets parts of a page from, files, or another address.
NO_PAGES = {
    "assets.serve",
    "assets.serve_fonts",
    "customer.download_csv",
    "customer.download_pdf",
    "customer.nothing",
    "customer.show_changes",
    "customer.show_logo",
    "customer.show_stream",
    "health.healthz",
    "health.readyz",
    "pages.come_from_provider",
    "pages.download_csv",
    "pages.download_import_report",
    "pages.download_pdf",
    "pages.export_audit_csv",
    "pages.export_audit_ndjson",
    "pages.export_bills",
    "pages.go_to_provider",
    "pages.list_line_items",
    "pages.palette",
    "pages.pick_customer",
    "pages.show_changes",
    "pages.show_import_standing",
    "pages.show_logo",
    "pages.show_new_period",
    "pages.show_session",
    "pages.show_settings",
    "pages.show_totals",
    "pages.stream_changes",
    "reference.show_document",
    "static",
}

# Pages that an installed viewer fills, whose weight and colours aren't ours: their templates, and what tests them.
VIEWERS = {"reference.show_documentation": ("reference/show.html", "test_reference.py")}

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
# What templates are made of; nothing is answered with them alone.
PARTS = {"charts.html", "customer/layout.html", "dialog.html", "layout.html", "macros.html", "settings/frame.html"}

# Answers that htmx puts into an open page, made of the partials that the page is made of, and what tests them in one.
FRAGMENTS = {
    "bills/changes.html": "test_live.py",
    "bills/listed.html": "test_bills_list.py",
    "customer/changes.html": "test_customer_page.py",
    "customer_picker/show.html": "test_new_bill.py",
    "line_items/added.html": "test_bill_flows.py",
    "line_items/found.html": "test_bill_flows.py",
    "line_items/found_older.html": "test_bill_flows.py",
    "line_items/older.html": "test_bill_page.py",
    "sessions/signed_in.html": "test_signing_in.py",
}


def templates() -> Set[str]:
    """Those that pages are rendered from: no parts, which begin with _ or only frame others."""
    names = {str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html")}
    return (
        {name for name in names if not name.rpartition("/")[2].startswith("_")}
        - PARTS
        - {file for file, _ in VIEWERS.values()}
    )


def test_every_page_is_among_the_states():
    app = create_app(Config.from_environment({"DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "SECRET_KEY": "x" * 16}))
    shown = {_endpoint(app, state) for state in STATES}
    pages = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    left_out = {endpoint for endpoint in pages - NO_PAGES - VIEWERS.keys() - shown if not endpoint.startswith("api.")}
    assert not left_out, f"tests/browser/states.py has no state of {', '.join(sorted(left_out))}"


def test_no_two_states_have_one_name():
    names = [state.name for state in STATES]
    assert len(names) == len(set(names))


def _endpoint(app: Flask, state: State) -> str | None:
    routes: MapAdapter = app.url_map.bind("localhost")
    try:
        return routes.match(state.address.removeprefix(PREFIX).partition("?")[0])[0]
    except RequestRedirect:
        raise
    except Exception:
        return None
