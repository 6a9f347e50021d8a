"""What browsers complain of while tests use them: script errors, broken content security policy, failures."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, ConsoleMessage, WebError

# Notes about answers that aren't 2xx, by the browser, and about requests that were under way when a page was left or
# the network lost, by htmx: that the server refused a form, or somebody moved on, is no fault of the page; nor that a
# stream asked for after the session ended is answered with the sign-in page.
NO_FAULTS = (
    "Failed to load resource",
    "EventSource's response has a MIME type",
    "htmx:sendError",
    "htmx:sendAbort",
    "htmx:afterRequest",
)

_TELL_OF_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `content security policy: ${event.effectiveDirective} refused ${event.blockedURI}`,
  `in ${event.sourceFile}:${event.lineNumber}: ${event.sample}`,
));
"""


class Complaints:
    """Of every page of every browser that it listens to, from the first moment on."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    def listen(self, context: BrowserContext) -> BrowserContext:
        """Before the context has a page."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.add_init_script(_TELL_OF_VIOLATIONS)
        return context

    def taken(self) -> list[str]:
        """Those heard since the last time."""
        heard, self._heard = self._heard, []
        return heard

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(told in message.text for told in NO_FAULTS):
            self._heard.append(f"{message.location.get('url')}: {message.text}")

    def _error(self, error: WebError) -> None:
        self._heard.append(str(error.error))
