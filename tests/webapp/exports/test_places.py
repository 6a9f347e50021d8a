"""Few long answers at once."""

from __future__ import annotations

import pytest

from webapp.exports.places import Places, TooManyExports


def test_there_are_so_many_and_no_more() -> None:
    places = Places(most=3, a_caller=2)
    taken = [places.take(caller) for caller in ("a", "b", "c")]
    with pytest.raises(TooManyExports):
        places.take("d")
    taken[1].release()
    places.take("d")


def test_a_caller_never_has_all_of_them() -> None:
    places = Places(most=3, a_caller=2)
    for _ in range(2):
        places.take("a")
    with pytest.raises(TooManyExports):
        places.take("a")
    places.take("b")


def test_one_that_is_released_twice_is_given_back_once() -> None:
    places = Places(most=2, a_caller=2)
    first = places.take("a")
    places.take("a")
    first.release()
    first.release()
    places.take("a")
    with pytest.raises(TooManyExports):
        places.take("a")
