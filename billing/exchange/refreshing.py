"""Refreshing rates in the background: claim, fetch, judge, record. Nobody waits for it."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import Engine

from billing.deliveries import Accepted, Quarantined, RatesRefused, Verdict
from billing.exchange.failure import ProviderFailed
from billing.exchange.open_exchange_rates import OpenExchangeRates
from billing.ledger import rates
from billing.origin import Origin, by_the_system
from billing.settings import Settings

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=5)


def refresh_if_due(engine: Engine, settings: Settings) -> None:
    """Fetches rates when the last attempt is long enough ago and no other process is at it."""
    if settings.oxr_app_id and rates.claim_refresh(engine, every=settings.rates_refresh_every):
        refresh(engine, settings, by_the_system("rates-refresh"))


def refresh(engine: Engine, settings: Settings, origin: Origin) -> str:
    """One attempt, recorded; answers how it ended. The last good snapshot stays unless a better one was accepted.

    Ends are accepted, unchanged, quarantined, no_provider, or the reason of a failure.
    """
    if not settings.oxr_app_id:
        return "no_provider"
    provider = OpenExchangeRates(settings.oxr_app_id, settings.oxr_url)
    sent = rates.validators(engine)
    try:
        delivery = provider.latest(etag=sent.etag, last_modified=sent.last_modified)
        verdict = rates.record_delivery(engine, origin, delivery, sent, stale_after=settings.rates_stale_after)
    except (ProviderFailed, RatesRefused) as failed:
        return _record_failure(engine, settings, failed)
    outcome = _name(verdict)
    rates.record_attempt(engine, outcome)
    log.info("rates refreshed: %s", outcome)
    return outcome


def _record_failure(engine: Engine, settings: Settings, failed: ProviderFailed | RatesRefused) -> str:
    log.warning("rates not refreshed: %s", failed)
    asked = timedelta(seconds=getattr(failed, "retry_after_s", None) or 0)
    wait = max(min(RETRY_AFTER, settings.rates_refresh_every), asked)
    rates.record_attempt(engine, failed.reason, str(failed), retry_after=wait)
    return failed.reason


def _name(verdict: Verdict) -> str:
    if isinstance(verdict, Accepted):
        return "accepted"
    return "quarantined" if isinstance(verdict, Quarantined) else "unchanged"
