"""What the web process needs to know, read once; it refuses to start when something is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from billing.settings import Settings, SettingsInvalid, required
from webapp.identity import rate_limits
from webapp.identity.oidc_settings import OidcSettings
from webapp.identity.rate_limits import RateLimit
from webapp.identity.sessions import RequireTotp
from workflows.scraping import address_in

SHORTEST_SECRET = 16
_HOST_NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:]+", re.ASCII)
# Nobody else's page can be called by these.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Config:
    """`settings` are those that the worker shares. `secret_key` signs cookies and cursors.

    `oidc` is None where no provider is configured. `trusted_proxies` stand between browsers and this process.
    `other_hosts` may stand in a request's Host beside that of `public_url`; None: whatever stands there.
    `metrics`: whether requests are counted. `api_rate_limit` is that of each API key, None for none.
    """

    settings: Settings
    secret_key: str = field(repr=False)
    public_url: str = "http://localhost:8000"
    log_level: str = "INFO"
    web_threads: int = 32
    require_totp: RequireTotp = RequireTotp.NOBODY
    oidc: OidcSettings | None = None
    trusted_proxies: int = 0
    other_hosts: tuple[str, ...] | None = ()
    metrics: bool = False
    api_rate_limit: RateLimit | None = rate_limits.DEFAULT

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def trusted_hosts(self) -> frozenset[str] | None:
        """Names by which this system is called, in lower case; None for any."""
        if self.other_hosts is None:
            return None
        own = (urlsplit(self.public_url).hostname or "").lower()
        return frozenset({own, *LOOPBACK, *self.other_hosts})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Config:
        """Raises SettingsInvalid with a sentence that names the variable."""
        port = environment.get("PORT") or "8000"
        return cls(
            settings=Settings.from_environment(environment),
            secret_key=_secret_key(environment),
            public_url=_public_url(environment.get("PUBLIC_URL") or f"http://localhost:{port}"),
            log_level=_log_level(environment.get("LOG_LEVEL") or "INFO"),
            require_totp=_require_totp(environment.get("REQUIRE_TOTP") or "nobody"),
            oidc=OidcSettings.from_environment(environment),
            trusted_proxies=_trusted_proxies(environment.get("TRUSTED_PROXIES") or "0"),
            other_hosts=_other_hosts(environment.get("TRUSTED_HOSTS") or ""),
            web_threads=_web_threads(environment.get("WEB_THREADS") or "32"),
            metrics=address_in(environment, "METRICS_PORT") is not None,
            api_rate_limit=_rate_limit(environment.get("API_RATE_LIMIT")),
        )


def _secret_key(environment: Mapping[str, str]) -> str:
    secret = required(environment, "SECRET_KEY")
    if len(secret) < SHORTEST_SECRET:
        raise SettingsInvalid(f"SECRET_KEY must have at least {SHORTEST_SECRET} characters")
    return secret


def _public_url(text: str) -> str:
    address = urlsplit(text)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise SettingsInvalid(f"PUBLIC_URL must begin with https:// or http:// and name a host, not {text!r}")
    return text.rstrip("/")


def _log_level(text: str) -> str:
    level = text.upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsInvalid(f"LOG_LEVEL must be debug, info, warning or error, not {text!r}")
    return level


def _web_threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise SettingsInvalid(f"WEB_THREADS must be a whole number from 1, not {text!r}")
    return int(text)


def _require_totp(text: str) -> RequireTotp:
    try:
        return RequireTotp(text.lower())
    except ValueError:
        raise SettingsInvalid(f"REQUIRE_TOTP must be nobody, admins or everybody, not {text!r}") from None


def _trusted_proxies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise SettingsInvalid(f"TRUSTED_PROXIES must be how many proxies stand before the pages, not {text!r}")
    return int(text)


def _rate_limit(text: str | None) -> RateLimit | None:
    return RateLimit.parse(text) if text else rate_limits.DEFAULT


def _other_hosts(text: str) -> tuple[str, ...] | None:
    if text.strip() == "*":
        return None
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise SettingsInvalid(
            f"TRUSTED_HOSTS must be host names without ports, with commas between, or *, not {text!r}"
        )
    return names
