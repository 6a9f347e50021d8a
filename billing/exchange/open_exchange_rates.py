"""The rates of Open Exchange Rates, as its documentation describes them.

https://docs.openexchangerates.org/reference/latest-json (the call), /errors (its errors) and
/etags (conditional requests).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from email.utils import parsedate_to_datetime
from typing import NoReturn

from billing.deliveries import FetchedRates, NotModified
from billing.exchange.bounded_get import Answer, bounded_get
from billing.exchange.failure import ProviderFailed

PROVIDER = "openexchangerates"
LARGEST_BODY = 1_000_000
LONGEST_RETRY_AFTER_S = 24 * 60 * 60

_DOCUMENTED_ERRORS = {
    "missing_app_id": "Open Exchange Rates got no app id: set OPENEXCHANGERATES_APP_ID",
    "invalid_app_id": "Open Exchange Rates does not know the app id: check OPENEXCHANGERATES_APP_ID",
    "not_allowed": "the plan at Open Exchange Rates does not include what was asked",
    "access_restricted": "Open Exchange Rates has restricted the account",
    "invalid_base": "Open Exchange Rates does not offer the base currency that was asked",
    "not_found": "Open Exchange Rates knows no such address: check OPENEXCHANGERATES_URL",
}
_VALIDATOR = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?", re.ASCII)
_APP_ID_IN_URL = re.compile(r"(app_id=)[^&\s\"']+")


class OpenExchangeRates:
    """`latest.json` of one account. Each call stands alone; it may be made from any thread."""

    def __init__(self, app_id: str, base_url: str, deadline_s: float = 10):
        if not base_url.startswith(("http://", "https://")):
            raise ValueError("the address of Open Exchange Rates must begin with http:// or https://")
        self._app_id = app_id
        self._url = base_url.rstrip("/") + "/latest.json"
        self._deadline_s = deadline_s

    def __repr__(self) -> str:
        return f"OpenExchangeRates({self._url!r})"

    def latest(self, etag: str | None = None, last_modified: str | None = None) -> FetchedRates | NotModified:
        """The rates, or that they are still those of the delivery that carried these validators.

        Takes `deadline_s` at most, whatever the provider does. Raises ProviderFailed.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        conditions = {name: value for name, value in validators.items() if value and _VALIDATOR.fullmatch(value)}
        answer = bounded_get(
            self._url,
            params={"app_id": self._app_id},
            headers={"Accept": "application/json", **conditions},
            deadline_s=self._deadline_s,
            largest=LARGEST_BODY,
        )
        if answer.status == 304 and conditions:
            return NotModified()
        if answer.status != 200:
            _refused(answer)
        return _delivery(answer)


def _delivery(answer: Answer) -> FetchedRates:
    content = _json_object(answer)
    if content.get("error"):
        _refused(answer)
    base, rates = content.get("base"), content.get("rates")
    if not isinstance(base, str) or not isinstance(rates, dict):
        raise ProviderFailed("malformed", "Open Exchange Rates answered without a base and its rates")
    return FetchedRates(
        provider=PROVIDER,
        base=base,
        provider_time=_instant(content.get("timestamp")),
        rates=rates,
        etag=_validator(answer.headers.get("ETag")),
        # The documentation names Date; HTTP prefers Last-Modified where there is one.
        last_modified=_validator(answer.headers.get("Last-Modified") or answer.headers.get("Date")),
    )


def _instant(timestamp: object) -> datetime:
    """From whole seconds since 1970."""
    if isinstance(timestamp, Decimal) and 0 <= timestamp < 10**11 and timestamp == int(timestamp):
        return datetime.fromtimestamp(int(timestamp), UTC)
    raise ProviderFailed("malformed", "Open Exchange Rates answered without the time of its rates")


def _validator(header: str | None) -> str | None:
    return header if header and _VALIDATOR.fullmatch(header) else None


def _json_object(answer: Answer) -> dict[str, object]:
    """Exact and strict: numbers as Decimal, no NaN, no key twice."""
    media_type = answer.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ProviderFailed("not_json", "Open Exchange Rates answered with something that is not JSON")
    try:
        content = json.loads(
            answer.body.decode(),
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_key_twice,
        )
    except (ValueError, DecimalException, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ProviderFailed("not_json", "Open Exchange Rates answered with JSON that cannot be read")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _refused(answer: Answer) -> NoReturn:
    """Raises what a status or a documented error means.

    The documentation gives 429 to `not_allowed` as well, and calls over-use `access_restricted`
    with 429: of the two, only the latter passes by waiting.
    """
    message = _documented_error(answer)
    retry_after_s = _retry_after_s(answer.headers)
    if message and not (message == "access_restricted" and answer.status == 429):
        raise ProviderFailed(message, _DOCUMENTED_ERRORS[message], retry_after_s=retry_after_s)
    reason, sentence = _meaning(answer.status)
    raise ProviderFailed(reason, sentence, retry_after_s=retry_after_s)


def _documented_error(answer: Answer) -> str | None:
    try:
        message = _json_object(answer).get("message")
    except ProviderFailed:
        return None
    return message if isinstance(message, str) and message in _DOCUMENTED_ERRORS else None


def _meaning(status: int) -> tuple[str, str]:
    if status == 429:
        return "rate_limited", "Open Exchange Rates was asked too often"
    if status == 401:
        return "invalid_app_id", _DOCUMENTED_ERRORS["invalid_app_id"]
    if status >= 500:
        return "server_error", f"Open Exchange Rates failed with status {status}"
    if 300 <= status < 400:
        return "redirected", f"Open Exchange Rates pointed elsewhere with status {status}"
    return "refused", f"Open Exchange Rates refused with status {status}"


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    """Seconds or a date (RFC 9110, 10.2.3), at most a day; None when there is none or it can't be read."""
    text = headers.get("Retry-After", "")[:40].strip()
    if re.fullmatch(r"[0-9]+", text, re.ASCII):
        return min(int(text), LONGEST_RETRY_AFTER_S)
    try:
        wait = parsedate_to_datetime(text) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(int(wait.total_seconds()) + 1, 0), LONGEST_RETRY_AFTER_S)


class _MaskAppId(logging.Filter):
    """urllib3 logs the URL of requests, and the app id is part of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "app_id=" in message:
            record.msg, record.args = _APP_ID_IN_URL.sub(r"\1***", message), ()
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_MaskAppId())
