"""How asking a provider can fail."""

from __future__ import annotations


class ProviderFailed(Exception):
    """The provider gave no rates; the last good snapshot stays.

    Its message is a sentence for an operator and never holds the app id. `reason` is one of
    timeout, unreachable, tls_failed, rate_limited, server_error, redirected, refused, too_large,
    not_json, malformed, or a documented error of the provider: missing_app_id, invalid_app_id,
    not_allowed, access_restricted, invalid_base, not_found. `retry_after_s` is the provider's wish,
    where it stated one.
    """

    def __init__(self, reason: str, sentence: str, *, retry_after_s: int | None = None):
        super().__init__(sentence)
        self.reason = reason
        self.retry_after_s = retry_after_s
