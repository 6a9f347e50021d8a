from __future__ import annotations

from threading import BoundedSemaphore

import pytest

from billing.errors import InvalidArgument
from tests.support.stopwatch import stopwatch
from webapp.identity import passwords

EMAIL = "ada.lovelace@example.com"


@pytest.mark.parametrize("password", ["elevenchars", "", "x" * 1_001])
def test_too_short_or_too_long_is_refused(password: str):
    with pytest.raises(InvalidArgument, match="at least 12"):
        passwords.hash_password(password)


@pytest.mark.parametrize(
    "password",
    [
        EMAIL,
        "ada.lovelace1!",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "123456789012",
        "Password1234",
        "!!password!!",
        "qwertyuiopas",
        "CorrectHorseBatteryStaple",
        "Administrator",
    ],
)
def test_what_is_guessed_first_is_refused(password: str):
    with pytest.raises(InvalidArgument, match="guessed first"):
        passwords.hash_password(password, email=EMAIL)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "all lower case letters", "\N{SNOWMAN}" * 3 + "melting slowly"]
)
def test_no_kind_of_character_is_required(password: str):
    assert passwords.matches(passwords.hash_password(password, email=EMAIL), password)


def test_a_generated_one_is_accepted_and_never_the_same():
    first, second = passwords.generated(), passwords.generated()
    assert first != second
    passwords.hash_password(first)


@pytest.mark.parametrize("hashed", [None, "", "no hash"])
def test_without_a_hash_nothing_fits(hashed: str | None):
    assert passwords.matches(hashed, "nobody has this password") is False


def test_nobody_waits_long_for_the_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(passwords, "_AT_A_TIME", BoundedSemaphore(1))
    hashed = passwords.hash_password("correct horse battery")
    with stopwatch() as took, passwords._a_turn():
        for ask in (passwords.hash_password, passwords.rehashed, lambda typed: passwords.matches(hashed, typed)):
            with pytest.raises(passwords.Busy):
                ask("correct horse battery")

    assert took.s < 2
    assert passwords.matches(hashed, "correct horse battery")
