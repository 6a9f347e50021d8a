"""Secrets that are shown once: from the change that made them to the page after it, and never again.

They wait sealed in the browser's own cookie for the next page: a reload, Back, or another browser shows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from flask import session

from webapp.system import system

_NAME = "once"
_WAITS_S = 300


def keep(subject: str, *secrets: str) -> None:
    """For the page about `subject`, which takes them."""
    session[_NAME] = system().seal.close(_NAME, json.dumps([subject, secrets]))


def take(subject: str) -> Sequence[str]:
    """None left, for a page that isn't the first."""
    sealed = session.pop(_NAME, None)
    opened = system().seal.open(_NAME, sealed, within_s=_WAITS_S) if isinstance(sealed, str) else None
    about, secrets = json.loads(opened) if opened else ("", [])
    return secrets if about == subject else []
