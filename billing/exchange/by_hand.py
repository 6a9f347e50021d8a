"""Refreshing rates because an administrator asks for it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from billing.exchange.refreshing import refresh
from billing.ledger.rate_requests import claim_by_hand
from billing.origin import Origin
from billing.settings import Settings


class TooSoon(Exception):
    """Rates were fetched, or tried for, a moment ago; after `wait` they may be again."""

    def __init__(self, wait: timedelta):
        super().__init__("rates were fetched a moment ago")
        self.wait = wait


def refresh_now(engine: Engine, settings: Settings, origin: Origin) -> str:
    """As `refresh`, under the same claim as the background's. Takes as long as a provider may. Raises TooSoon."""
    if settings.oxr_app_id:
        wait = claim_by_hand(engine)
        if wait:
            raise TooSoon(wait)
    return refresh(engine, settings, origin)
