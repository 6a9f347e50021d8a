"""Opening declared states: one browser for each place and account, which signs in once, and a page for each visit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import template_rendered
from jinja2 import Template
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.browser.states import GUARDED, Place, State
from tests.browser.steps import submitted
from tests.support.complaints import Complaints
from tests.support.visitor import PASSWORD

NARROW, USUAL, BROAD = 360, 1280, 2560
WIDTHS = (NARROW, USUAL, BROAD)
HEIGHT = 900
PATIENCE_MS = 30_000
SCHEMES = ("light", "dark")


class Visits:
    """`addresses` are where the places are; `names` fill the addresses of states.

    `opened` are the names of the states that were visited, `rendered` the templates that were answered with, and
    `policies` the addresses of the last visit with the content security policies they came with.
    """

    def __init__(
        self,
        browser: Browser,
        complaints: Complaints,
        addresses: Mapping[Place, str],
        names: Mapping[str, str],
    ) -> None:
        self._browser = browser
        self._complaints = complaints
        self._addresses = addresses
        self._names = names
        self._contexts: dict[tuple[Place, str | None, bool], BrowserContext] = {}
        self.opened: set[str] = set()
        self.rendered: set[str] = set()
        self.policies: list[tuple[str, str]] = []
        # The places are applications of this process.
        template_rendered.connect(self._rendered)

    @contextmanager
    def visit(self, state: State, *, script: bool = True) -> Iterator[Page]:
        """The page in its state, of the usual width, light, with nothing moving."""
        page = self.context(state.place, state.who, script=script).new_page()
        self.policies.clear()
        page.on("response", self._answered)
        try:
            page.set_viewport_size({"width": USUAL, "height": HEIGHT})
            page.emulate_media(color_scheme="light", reduced_motion="reduce")
            page.goto(self.address(state))
            if state.steps:
                state.steps(page)
                # What steps wait for is seen before styles and scripts of the page are all there.
                page.wait_for_load_state()
            self.opened.add(state.name)
            yield page
        finally:
            page.close()

    def address(self, state: State) -> str:
        return self._addresses[state.place] + state.address.format(**self._names)

    def context(self, place: Place, who: str | None, *, script: bool = True) -> BrowserContext:
        """A browser in which they have signed in; it lasts as long as the visits."""
        key = (place, who, script)
        if key not in self._contexts:
            signed_in = None if script else self.context(place, who).storage_state()
            opened = self._browser.new_context(
                base_url=self._addresses[place], java_script_enabled=script, storage_state=signed_in
            )
            opened.set_default_timeout(PATIENCE_MS)
            self._contexts[key] = self._complaints.listen(opened)
            if who and script:
                self._sign_in(opened, who)
        return self._contexts[key]

    def _sign_in(self, context: BrowserContext, who: str) -> None:
        page = context.new_page()
        sign_in(page, who)
        if who == GUARDED:
            submitted("Sign in", {"Code": self._names["recovery_code"]})(page)
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        page.close()

    def _answered(self, answer: Response) -> None:
        if answer.request.is_navigation_request():
            self.policies.append((answer.url, answer.headers.get("content-security-policy", "")))

    def _rendered(self, _sender: object, *, template: Template, **_context: object) -> None:
        self.rendered.add(template.name or "")

    def end(self) -> None:
        for context in self._contexts.values():
            context.close()


def sign_in(page: Page, who: str) -> None:
    """Somebody of this role, or with this account: `who` begins their address."""
    page.goto("/session/new")
    submitted("Sign in", {"E-mail": f"{who}@example.com", "Password": PASSWORD})(page)
