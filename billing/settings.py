"""What web and worker both need to know, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from billing import money
from billing.webhooks import Patience

DEFAULT_CURRENCIES = (
    "USD", "GEL", "EUR", "GBP", "CHF", "JPY", "AED", "AMD", "AUD", "AZN", "BHD", "BRL", "CAD", "CLF", "CLP",
    "CNY", "CZK", "DKK", "HKD", "HUF", "ILS", "INR", "ISK", "JOD", "KRW", "KWD", "KZT", "MXN", "NOK", "NZD",
    "OMR", "PLN", "RON", "SAR", "SEK", "SGD", "THB", "TND", "TRY", "UAH", "VND", "ZAR",
)  # fmt: skip
OXR_URL = "https://openexchangerates.org/api"


class SettingsInvalid(Exception):
    """The environment lacks something, or holds what can't be right; the sentence names the variable."""


@dataclass(frozen=True, slots=True)
class TemporalTls:
    """Files in PEM: whom to trust (None: whom the system trusts), and who we are, where the server asks that."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> TemporalTls | None:
        """None without any of it. Raises SettingsInvalid."""
        names = ("TEMPORAL_TLS_CA_FILE", "TEMPORAL_TLS_CERT_FILE", "TEMPORAL_TLS_KEY_FILE")
        ca, cert, key = (environment.get(name) or None for name in names)
        if bool(cert) != bool(key):
            raise SettingsInvalid("TEMPORAL_TLS_CERT_FILE and TEMPORAL_TLS_KEY_FILE are set together, or neither")
        wanted = environment.get("TEMPORAL_TLS", "").lower() in {"1", "true", "yes", "on"}
        return cls(ca, cert, key) if wanted or ca or cert else None


@dataclass(frozen=True, slots=True)
class Settings:
    """Secrets don't show in its repr. Without `oxr_app_id` the sample rates serve; without `secret_key`, which the web
    process insists on, a worker can't sign webhooks and says so.

    `webhook_receivers_anywhere`: also by plain http, on this machine and in private networks.
    """

    database_url: str = field(repr=False)
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: str | None = field(default=None, repr=False)
    temporal_tls: TemporalTls | None = None
    temporal_task_queue: str = "billing"
    oxr_app_id: str | None = field(default=None, repr=False)
    oxr_url: str = OXR_URL
    supported_currencies: tuple[str, ...] = DEFAULT_CURRENCIES
    rates_stale_after: timedelta = timedelta(hours=24)
    rates_refresh_every: timedelta = timedelta(hours=1)
    secret_key: str | None = field(default=None, repr=False)
    webhook_receivers_anywhere: bool = False
    webhook_patience: Patience = field(default_factory=Patience)

    @property
    def in_test_mode(self) -> Settings:
        """With queues of its own: live bills wait for no test bill's turn."""
        return replace(self, temporal_task_queue=f"{self.temporal_task_queue}-test")

    @property
    def sample_rates(self) -> bool:
        """Whether conversions use the sample snapshot that ships with the project."""
        return self.oxr_app_id is None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsInvalid. An empty variable counts as one that isn't set."""
        return cls(
            database_url=required(environment, "DATABASE_URL"),
            secret_key=environment.get("SECRET_KEY") or None,
            temporal_address=environment.get("TEMPORAL_ADDRESS") or "127.0.0.1:7233",
            temporal_namespace=environment.get("TEMPORAL_NAMESPACE") or "default",
            temporal_api_key=environment.get("TEMPORAL_API_KEY") or None,
            temporal_tls=TemporalTls.from_environment(environment),
            temporal_task_queue=environment.get("TEMPORAL_TASK_QUEUE") or "billing",
            oxr_app_id=environment.get("OPENEXCHANGERATES_APP_ID") or None,
            oxr_url=(environment.get("OPENEXCHANGERATES_URL") or OXR_URL).rstrip("/"),
            supported_currencies=_currencies(environment.get("SUPPORTED_CURRENCIES") or ""),
            rates_stale_after=timedelta(hours=_positive(environment, "RATES_STALE_AFTER_HOURS", 24)),
            rates_refresh_every=timedelta(seconds=_positive(environment, "RATES_REFRESH_SECONDS", 3600)),
            webhook_receivers_anywhere=_receivers_anywhere(environment),
            webhook_patience=_patience(environment),
        )


def required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsInvalid(f"{name} is not set")
    return value


def _positive(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e8:
        raise SettingsInvalid(f"{name} must be a positive number, not {text!r}")
    return value


def _receivers_anywhere(environment: Mapping[str, str]) -> bool:
    """Whoever may add a webhook could then reach what only our own machines can."""
    text = environment.get("WEBHOOK_RECEIVERS") or "public"
    if text not in {"public", "anywhere"}:
        raise SettingsInvalid(f"WEBHOOK_RECEIVERS must be public or anywhere, not {text!r}")
    if text == "anywhere" and environment.get("PUBLIC_URL", "").startswith("https://"):
        raise SettingsInvalid("WEBHOOK_RECEIVERS=anywhere is for development, where PUBLIC_URL isn't https")
    return text == "anywhere"


def _patience(environment: Mapping[str, str]) -> Patience:
    usual = Patience()

    def seconds(name: str, default: timedelta) -> timedelta:
        return timedelta(seconds=_positive(environment, name, default.total_seconds()))

    return Patience(
        first=seconds("WEBHOOK_FIRST_RETRY_SECONDS", usual.first),
        longest=seconds("WEBHOOK_LONGEST_RETRY_SECONDS", usual.longest),
        give_up_after=seconds("WEBHOOK_GIVE_UP_AFTER_SECONDS", usual.give_up_after),
        pause_after=seconds("WEBHOOK_PAUSE_AFTER_SECONDS", usual.pause_after),
    )


def _currencies(text: str) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
    unknown = [code for code in codes if not money.is_currency(code)]
    if unknown:
        raise SettingsInvalid(f"SUPPORTED_CURRENCIES has no ISO currencies with minor units in {', '.join(unknown)}")
    return codes or DEFAULT_CURRENCIES
