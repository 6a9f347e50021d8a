"""Signatures as Standard Webhooks has them: its own library verifies ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from billing.webhooks import Patience, new_secret, signed_headers

BODY = b'{"id":"evt_1","data":{"name":"\xe2\x82\xac"}}'


def now() -> datetime:
    return datetime.now(UTC)


def test_the_library_verifies_what_is_signed():
    secret = new_secret()
    assert Webhook(secret).verify(BODY, signed_headers("evt_1", now(), BODY, [secret]))["id"] == "evt_1"


def test_either_of_two_secrets_verifies_while_both_sign():
    old, new = new_secret(), new_secret()
    headers = signed_headers("evt_1", now(), BODY, [new, old])
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "webhook-signature", "body", "secret"])
def test_what_was_changed_on_the_way_is_not_verified(changed: str):
    secret = new_secret()
    headers, body = signed_headers("evt_1", now(), BODY, [secret]), BODY
    match changed:
        case "body":
            body = BODY.replace(b"evt_1", b"evt_2")
        case "secret":
            secret = new_secret()
        case "webhook-timestamp":
            headers[changed] = str(int(headers[changed]) + 1)
        case _:
            headers[changed] = headers[changed][:-2] + "xx"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_what_is_old_is_not_verified():
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, signed_headers("evt_1", now() - timedelta(hours=1), BODY, [secret]))


def test_waits_double_up_to_the_longest_and_are_spread():
    patience = Patience(first=timedelta(seconds=5), longest=timedelta(hours=8))
    for tries, seconds in ((1, 5), (2, 10), (5, 80), (12, 10_240), (20, 28_800), (1_000, 28_800)):
        waits = {patience.wait(tries).total_seconds() for _ in range(50)}
        assert 0.8 * seconds <= min(waits) < max(waits) <= 1.2 * seconds


def test_twenty_attempts_or_so_are_made_within_three_days():
    patience, passed, tries = Patience(spread=0), timedelta(0), 0
    while passed < patience.give_up_after:
        tries += 1
        passed += patience.wait(tries)
    assert 18 <= tries <= 22
