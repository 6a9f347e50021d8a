"""What stands in a link's address."""

from __future__ import annotations

import hmac
import string
from contextlib import suppress
from uuid import UUID, uuid4

import pytest

from billing.errors import LinkNotFound
from billing.identifiers import new_id
from webapp.customer import tokens

SECRET = "a secret of the tests"
ALPHABET = string.ascii_letters + string.digits + "-_"


def test_a_token_leads_back_to_its_link():
    link_id = new_id()
    token = tokens.token_of(SECRET, link_id)
    assert len(token) == tokens.LENGTH
    assert tokens.link_id_of(SECRET, token) == link_id
    assert tokens.token_of(SECRET, link_id) == token


def test_no_other_spelling_is_taken():
    token = tokens.token_of(SECRET, new_id())
    for place in range(tokens.LENGTH):
        other = ALPHABET[(ALPHABET.index(token[place]) + 1) % 64]
        with pytest.raises(LinkNotFound):
            tokens.link_id_of(SECRET, token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "token",
    ["", "x", "A" * 63, "A" * 64, "A" * 65, "=" * 64, "é" * 64, "A" * 60 + "====", "A" * 63 + "\n", "+" * 64],
)
def test_what_is_no_token_leads_nowhere(token: str):
    with pytest.raises(LinkNotFound):
        tokens.link_id_of(SECRET, token)


def test_nobody_makes_one_without_the_secret():
    link_id = new_id()
    with pytest.raises(LinkNotFound):
        tokens.link_id_of(SECRET, tokens.token_of("another secret of tests", link_id))
    with pytest.raises(LinkNotFound):
        tokens.link_id_of(SECRET, tokens.token_of(SECRET, link_id).swapcase())


@pytest.mark.parametrize("kind", ["right", "wrong at its end", "of another secret", "too short", "no token at all"])
def test_whatever_is_tried_is_compared_once_and_in_constant_time(kind: str, monkeypatch: pytest.MonkeyPatch):
    """How long it takes says nothing of how much was right."""
    right = tokens.token_of(SECRET, new_id())
    tried = {
        "right": right,
        "wrong at its end": right[:-1] + ("A" if right[-1] != "A" else "B"),
        "of another secret": tokens.token_of("another secret of tests", new_id()),
        "too short": right[:-1],
        "no token at all": "é" * tokens.LENGTH,
    }[kind]
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or both[0] == both[1])
    with suppress(LinkNotFound):
        tokens.link_id_of(SECRET, tried)
    assert len(compared) == 1
    assert {len(code) for code in compared[0]} == {32}


def test_tokens_of_neighbouring_links_share_nothing_but_the_id():
    first, second = UUID(int=uuid4().int & ~1), UUID(int=uuid4().int | 1)
    assert tokens.token_of(SECRET, first)[22:] != tokens.token_of(SECRET, second)[22:]
