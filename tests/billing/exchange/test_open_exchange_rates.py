import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from billing.deliveries import FetchedRates, NotModified
from billing.exchange.failure import ProviderFailed
from billing.exchange.open_exchange_rates import OpenExchangeRates
from tests.support.rates_provider import APP_ID, BEHAVIOURS, ENDLESS, HUGE, RatesProvider
from tests.support.stopwatch import stopwatch


@pytest.fixture
def provider() -> Iterator[RatesProvider]:
    with RatesProvider() as provider:
        yield provider


@pytest.fixture
def client(provider: RatesProvider) -> OpenExchangeRates:
    return OpenExchangeRates(provider.app_id, provider.url, deadline_s=60)


def failure_of(client: OpenExchangeRates) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        client.latest()
    return caught.value


def fetched(client: OpenExchangeRates) -> FetchedRates:
    delivery = client.latest()
    assert isinstance(delivery, FetchedRates)
    return delivery


def test_rates_come_exactly_as_the_provider_wrote_them(provider, client):
    delivery = fetched(client)
    assert delivery.provider == "openexchangerates"
    assert delivery.base == "USD"
    assert delivery.provider_time == datetime.fromtimestamp(provider.timestamp, UTC)
    assert {code: Decimal(rate) for code, rate in provider.rates.items()} == delivery.rates
    assert all(isinstance(rate, Decimal) for rate in delivery.rates.values())


def test_the_app_id_is_sent_as_documented(provider, client):
    client.latest()
    assert provider.requests[0].path == "/api/latest.json"
    assert provider.requests[0].query == {"app_id": APP_ID}


def test_a_slash_at_the_end_of_the_address_does_no_harm(provider):
    assert OpenExchangeRates(provider.app_id, provider.url + "/").latest()


def test_rates_that_did_not_change_are_not_sent_again(provider, client):
    delivery = fetched(client)
    assert client.latest(delivery.etag, delivery.last_modified) == NotModified()
    headers = provider.requests[1].headers
    assert headers["If-None-Match"] == delivery.etag
    assert headers["If-Modified-Since"] == delivery.last_modified
    provider.publish(GEL="2.8")
    assert isinstance(client.latest(delivery.etag, delivery.last_modified), FetchedRates)


def test_validators_that_no_header_can_hold_are_not_sent(provider, client):
    assert isinstance(client.latest('"a"\r\nX-Evil: 1', "é" * 300), FetchedRates)
    assert not {"If-None-Match", "If-Modified-Since", "X-Evil"} & provider.requests[0].headers.keys()


def test_not_modified_without_a_condition_is_refused(provider, client):
    provider.behave("not_modified")
    assert failure_of(client).reason == "redirected"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("reset", "unreachable"),
        ("cut_off", "unreachable"),
        ("rate_limited", "rate_limited"),
        ("over_use", "rate_limited"),
        ("access_restricted", "access_restricted"),
        ("not_allowed", "not_allowed"),
        ("missing_app_id", "missing_app_id"),
        ("invalid_app_id", "invalid_app_id"),
        ("invalid_base", "invalid_base"),
        ("server_error", "server_error"),
        ("teapot", "refused"),
        ("redirect", "redirected"),
        ("html", "not_json"),
        ("html_as_json", "not_json"),
        ("truncated", "not_json"),
        ("nan_rate", "not_json"),
        ("huge", "too_large"),
        ("huge_chunked", "too_large"),
        ("huge_when_unpacked", "too_large"),
    ],
)
def test_every_misbehaviour_has_its_name(provider, client, behaviour, reason):
    provider.behave(behaviour)
    failure = failure_of(client)
    assert failure.reason == reason
    assert str(failure)
    provider.behave("normally")
    assert fetched(client)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"[]", "not_json"),
        (b'"USD"', "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 500_000, "not_json"),
        (b'{"base": "USD", "base": "EUR"}', "not_json"),
        (b'{"timestamp": 1e999999999999999999999}', "not_json"),
        (b'{"timestamp": Infinity}', "not_json"),
        (b"{}", "malformed"),
        (b'{"base": 1, "timestamp": 1700000000, "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": 1700000000, "rates": []}', "malformed"),
        (b'{"base": "USD", "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": "1700000000", "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": true, "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": 1700000000.5, "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": 1e400, "rates": {}}', "malformed"),
        (b'{"base": "USD", "timestamp": -1, "rates": {}}', "malformed"),
        (b'{"error": true, "status": 401, "message": "invalid_app_id"}', "invalid_app_id"),
    ],
)
def test_a_body_that_is_no_delivery_is_refused(provider, client, body, reason):
    provider.behave("bytes", body=body)
    assert failure_of(client).reason == reason


def test_the_wish_to_be_left_alone_is_passed_on(provider, client):
    provider.behave("rate_limited", Retry_After="120")
    assert failure_of(client).retry_after_s == 120
    provider.behave("rate_limited", Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True))
    assert 30 <= failure_of(client).retry_after_s <= 91
    provider.behave("rate_limited", Retry_After="9" * 30)
    assert failure_of(client).retry_after_s == 24 * 60 * 60
    for unreadable in ("soon", "-5", "Fri, 99 Foo 9999 99:99:99 GMT", ""):
        provider.behave("rate_limited", Retry_After=unreadable)
        assert failure_of(client).retry_after_s is None


@pytest.mark.parametrize("behaviour", ["slow_headers", "slow_body", "silence"])
def test_a_call_ends_in_time_however_slowly_bytes_arrive(provider, behaviour):
    """Each byte comes well within the timeouts of requests; only the deadline of the whole call helps."""
    client = OpenExchangeRates(provider.app_id, provider.url, deadline_s=0.5)
    if behaviour == "silence":
        provider.behave("silence")
    else:
        provider.behave(behaviour, pause_s=0.05)
    with stopwatch() as took:
        assert failure_of(client).reason == "timeout"
    assert took.s < 2
    assert_no_call_lives_on()


def test_a_call_ends_in_time_when_connections_are_not_taken_up():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        client = OpenExchangeRates(APP_ID, f"http://127.0.0.1:{deaf.getsockname()[1]}", deadline_s=0.3)
        assert failure_of(client).reason == "timeout"
    assert_no_call_lives_on()


def test_a_name_that_is_looked_up_for_ever_does_not_hold_the_call(monkeypatch):
    release = threading.Event()

    def never(*_args, **_kwargs):
        release.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", never)
    client = OpenExchangeRates(APP_ID, "http://rates.invalid/api", deadline_s=0.3)
    with stopwatch() as took:
        assert failure_of(client).reason == "timeout"
    assert took.s < 2
    release.set()
    assert_no_call_lives_on()


def test_a_connection_made_after_the_deadline_is_given_up_too(provider, monkeypatch):
    look_up = socket.getaddrinfo

    def late(*args, **kwargs):
        time.sleep(0.5)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    provider.behave("slow_headers", pause_s=0.05)
    assert failure_of(OpenExchangeRates(APP_ID, provider.url, deadline_s=0.2)).reason == "timeout"
    assert_no_call_lives_on()


def assert_no_call_lives_on():
    patience = time.monotonic() + 60
    while any(thread.name == "rates-fetch" for thread in threading.enumerate()):
        assert time.monotonic() < patience
        time.sleep(0.02)


def test_fifty_megabytes_are_refused_by_their_announcement(provider, client):
    provider.behave("huge")
    assert failure_of(client).reason == "too_large"
    assert provider.written_of_huge < HUGE / 2


def test_nobody_listening_is_unreachable():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()[1]
    assert failure_of(OpenExchangeRates(APP_ID, f"http://127.0.0.1:{address}/api")).reason == "unreachable"


def test_tls_that_is_none_fails_by_name(provider):
    failure = failure_of(OpenExchangeRates(APP_ID, provider.url.replace("http:", "https:")))
    assert failure.reason == "tls_failed"


def test_an_address_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="http"):
        OpenExchangeRates(APP_ID, "file:///etc/passwd")


@pytest.mark.parametrize("behaviour", [*BEHAVIOURS])
def test_the_app_id_is_in_no_log_and_no_failure(provider, behaviour, caplog):
    caplog.set_level(logging.DEBUG)
    details = {"pause_s": 0.05} if behaviour.startswith("slow") else {}
    provider.behave(behaviour, **({"body": b"{}"} if behaviour == "bytes" else details))
    endless = behaviour in ENDLESS
    client = OpenExchangeRates(provider.app_id, provider.url, deadline_s=1 if endless else 60)
    failure = None
    try:
        client.latest()
    except ProviderFailed as caught:
        failure = caught
    # An exception of requests in its context would carry the URL into whatever reports errors.
    assert failure is None or (failure.__context__ is None and APP_ID not in repr(failure))
    assert provider.requests or endless
    assert APP_ID not in caplog.text
    assert "app_id=***" in caplog.text or endless or behaviour == "reset"
    assert APP_ID not in repr(client)


@pytest.mark.parametrize("app_id", ["", "wrong"])
def test_an_app_id_that_is_none_is_told_apart_from_other_refusals(provider, app_id):
    failure = failure_of(OpenExchangeRates(app_id, provider.url))
    assert failure.reason == ("invalid_app_id" if app_id else "missing_app_id")
    assert "OPENEXCHANGERATES_APP_ID" in str(failure)
