"""Secrets that are shown once: from the change that made them to the page after it, and never again.

They wait sealed in the browser's own cookie for the next page: a reload, Back, or another browser shows nothing. Those
of several tabs wait beside each other; no more than a cookie holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from flask import session

from webapp.system import system

_NAME = "once"
_WAITS_S = 300
_MOST = 4


def keep(subject: str, *secrets: str) -> None:
    """For the page about `subject`, which takes them."""
    _put([*_others(subject), (subject, system().seal.close(_purpose(subject), json.dumps(secrets)))])


def take(subject: str) -> Sequence[str]:
    """None left, for a page that isn't the first."""
    sealed = dict(_waiting()).get(subject)
    if sealed is None:
        return []
    _put(_others(subject))
    opened = system().seal.open(_purpose(subject), sealed, within_s=_WAITS_S)
    secrets: Sequence[str] = json.loads(opened) if opened else []
    return secrets


def _waiting() -> Sequence[tuple[str, str]]:
    """By the page they are for, the newest last."""
    kept = session.get(_NAME)
    return [(subject, sealed) for subject, sealed in kept] if isinstance(kept, list) else []


def _others(subject: str) -> Sequence[tuple[str, str]]:
    return [one for one in _waiting() if one[0] != subject]


def _put(waiting: Sequence[tuple[str, str]]) -> None:
    session[_NAME] = list(waiting[-_MOST:])


def _purpose(subject: str) -> str:
    return f"{_NAME} about {subject}"
