"""The content security policy is enforced. That nothing breaks it, every test beside this one asserts."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.states import STATES
from tests.browser.visits import Visits
from tests.support.complaints import Complaints


def test_what_breaks_it_is_heard(visits: Visits, complaints: Complaints):
    with visits.visit(STATES[0]) as page:
        assert complaints.taken() == []
        page.evaluate("document.body.setAttribute('style', 'color: red')")
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:1/elsewhere.png'}))")
        expect(page.locator("img")).to_be_attached()
        page.wait_for_function("document.images[0].complete")
        assert page.evaluate("window.ran") is None
        # What a browser complains of is told beside what it answers.
        heard = ""
        for _ in range(100):
            heard += " ".join(complaints.taken())
            if "img-src" in heard:
                break
            page.wait_for_timeout(100)
    assert "style-src-attr refused inline" in heard
    assert "script-src-elem refused inline" in heard
    assert "img-src refused http://127.0.0.1:1/elsewhere.png" in heard
