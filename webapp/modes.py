"""Which ledger a request is about: the live one, or that of test mode.

Of a call of the API its key says so. Pages have the same addresses once more below `/test`, which links of theirs keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, g, has_request_context, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

if TYPE_CHECKING:
    from webapp.identity.caller import Caller

PREFIX = "/test"
_MARK = "pave.test_mode"
# The first parts of the addresses at which there is something of a ledger: all else is the same in both modes.
_OF_A_LEDGER = frozenset({"", "bills", "bills.csv", "customers", "customer-picker", "palette", "b"})
_WEBHOOKS = "/settings/webhooks"
# Where a browser stays below the prefix, though it is the same there.
_ANYWHERE = frozenset({"assets", "static", "logos", "session", "shortcuts"})


class BelowPrefix:
    """Takes the prefix from the path: routes know nothing of it, and `url_for` puts it before every address again."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            environ |= below_prefix(environ.get("SCRIPT_NAME", ""))
            environ["PATH_INFO"] = path.removeprefix(PREFIX) or "/"
        return self._app(environ, start_response)


def below_prefix(root: str = "") -> dict[str, Any]:
    """What the environment of such a request has."""
    return {"SCRIPT_NAME": root + PREFIX, _MARK: True}


def in_test_mode() -> bool:
    """Whether this request is about what was made in test mode."""
    if not has_request_context():
        return False
    caller: Caller | None = g.get("caller")
    return (caller is not None and caller.test) or (_is_below_prefix() and _is_of_a_ledger(request.path))


def shows_test_mode() -> bool:
    """Whether a page stands below the prefix."""
    return _is_below_prefix()


def other_mode() -> str:
    """The address of the other mode's overview."""
    root = request.script_root
    return f"{root.removesuffix(PREFIX)}/" if _is_below_prefix() else f"{root}{PREFIX}/"


def without_prefix(address: str) -> str:
    """The same address as it is outside of test mode."""
    root = request.script_root
    return root.removesuffix(PREFIX) + address.removeprefix(root) if _is_below_prefix() else address


def keep_apart(app: Flask) -> None:
    """A page that is the same in both modes has one address. One of a ledger that is asked for `test=true` leads to its
    twin."""

    @app.before_request
    def lead_back() -> ResponseReturnValue | None:
        if not _is_below_prefix() and _is_asked_for():
            return redirect(_asked_for(), 303)
        if not _is_below_prefix() or _is_of_a_ledger(request.path) or _first_part(request.path) in _ANYWHERE:
            return None
        if request.blueprint not in {"pages", "health"} or request.method not in {"GET", "HEAD"}:
            raise NotFound
        return redirect(request.full_path.rstrip("?"), 303)


def _is_asked_for() -> bool:
    of_pages = request.blueprint == "pages" and request.method in {"GET", "HEAD"}
    return of_pages and request.args.get("test") == "true" and _is_of_a_ledger(request.path)


def _asked_for() -> str:
    others = urlencode([(name, value) for name, value in request.args.items(multi=True) if name != "test"])
    return f"{request.script_root}{PREFIX}{quote(request.path)}{'?' if others else ''}{others}"


def _is_below_prefix() -> bool:
    return bool(request.environ.get(_MARK))


def _is_of_a_ledger(path: str) -> bool:
    return _first_part(path) in _OF_A_LEDGER or path == _WEBHOOKS or path.startswith(f"{_WEBHOOKS}/")


def _first_part(path: str) -> str:
    return path.split("/", 2)[1] if path.startswith("/") else ""
