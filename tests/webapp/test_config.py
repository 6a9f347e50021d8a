from __future__ import annotations

from datetime import timedelta

import pytest

from billing.settings import Settings, SettingsInvalid
from webapp.config import Config
from webapp.identity.rate_limits import RateLimit

ENOUGH = {"DATABASE_URL": "postgresql://db/billing", "SECRET_KEY": "0123456789abcdef"}


def test_two_variables_are_enough():
    config = Config.from_environment({**ENOUGH, "PORT": "9000"})

    assert config.public_url == "http://localhost:9000"
    assert config.is_https is False
    assert config.settings.sample_rates is True
    assert {"USD", "GEL"} <= set(config.settings.supported_currencies)
    assert config.settings.rates_stale_after == timedelta(hours=24)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", ""),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "too short"),
        ("PUBLIC_URL", "billing.example"),
        ("PUBLIC_URL", "ftp://billing.example"),
        ("SUPPORTED_CURRENCIES", "USD,XAU"),
        ("SUPPORTED_CURRENCIES", "usd"),
        ("RATES_STALE_AFTER_HOURS", "0"),
        ("RATES_STALE_AFTER_HOURS", "nan"),
        ("RATES_REFRESH_SECONDS", "soon"),
        ("LOG_LEVEL", "loud"),
        ("REQUIRE_TOTP", "yes"),
        ("TRUSTED_PROXIES", "-1"),
        ("OIDC_ISSUER", "http://login.example"),
        ("WEB_THREADS", "0"),
        ("WEB_THREADS", "many"),
        ("API_RATE_LIMIT", "fast"),
        ("API_RATE_LIMIT", "0/10s"),
        ("TRUSTED_HOSTS", "https://billing.example"),
        ("TRUSTED_HOSTS", "billing.example:443"),
    ],
)
def test_what_is_missing_or_wrong_is_named(variable: str, value: str):
    with pytest.raises(SettingsInvalid, match=variable):
        Config.from_environment({**ENOUGH, variable: value})


def test_the_ceiling_of_currencies_is_as_given():
    settings = Settings.from_environment({**ENOUGH, "SUPPORTED_CURRENCIES": "GEL, USD,GEL,"})

    assert settings.supported_currencies == ("GEL", "USD")


def test_it_is_called_by_its_own_name_by_those_given_and_by_those_of_this_machine():
    named = {**ENOUGH, "PUBLIC_URL": "https://Billing.Example/", "TRUSTED_HOSTS": "web, Billing.internal"}
    hosts = Config.from_environment(named).trusted_hosts
    assert hosts == {"billing.example", "web", "billing.internal", "localhost", "127.0.0.1", "::1"}
    assert Config.from_environment({**named, "TRUSTED_HOSTS": "*"}).trusted_hosts is None


def test_the_limit_of_each_api_key():
    assert Config.from_environment(ENOUGH).api_rate_limit == RateLimit(20_000, 10)
    assert Config.from_environment({**ENOUGH, "API_RATE_LIMIT": "600/60s"}).api_rate_limit == RateLimit(600, 60)
    assert Config.from_environment({**ENOUGH, "API_RATE_LIMIT": "none"}).api_rate_limit is None


def test_secrets_do_not_show():
    config = Config.from_environment(
        {**ENOUGH, "OPENEXCHANGERATES_APP_ID": "the-app-id", "TEMPORAL_API_KEY": "the-api-key"}
    )

    assert not {"the-app-id", "the-api-key", "0123456789abcdef", "postgresql://db"} & set(repr(config).split("'"))
