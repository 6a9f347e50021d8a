"""An authenticator app, as somebody who signs in uses it."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pyotp
import pytest

from tests.support.visitor import Visitor
from webapp.identity import second_factors

ACCOUNT = "/settings/account"


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that codes are made and taken by: a step of 30 s that ends between two lines would change which fit."""
    stopped_s = time.time()
    monkeypatch.setattr(second_factors, "time", SimpleNamespace(time=lambda: stopped_s))


def code(secret: str, *, steps: int = 0) -> str:
    """The code of now, or of some steps of 30 s later: each is taken once."""
    return pyotp.TOTP(secret).at(int(second_factors.time.time()) + 30 * steps)


def enrolled(visitor: Visitor) -> tuple[str, list[str]]:
    """Sets a second factor up: its secret, and the recovery codes. The code of now is still unused."""
    page = visitor.open(f"{ACCOUNT}/second-factor/new")
    secret = page.id("shown-secret").text.replace(" ", "")
    form = page.form(f"{ACCOUNT}/second-factor")
    visitor.send(f"{ACCOUNT}/second-factor", {**form, "code": code(secret, steps=-1)}, status=303)
    return secret, visitor.open(visitor.went_to).id("shown-codes").text.split()
