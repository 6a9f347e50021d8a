"""Which currencies are offered."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from billing.errors import InvalidArgument, UnsupportedCurrency, VersionConflict
from billing.ledger import settings
from billing.origin import Origin

CEILING = ("USD", "GEL", "EUR", "JPY")


@pytest.fixture(autouse=True)
def _all_offered(engine: Engine, origin: Origin) -> None:
    settings.offer(engine, origin, CEILING, ceiling=CEILING)


def offered(engine: Engine, ceiling: tuple[str, ...] = CEILING) -> tuple[str, ...]:
    return settings.offered(engine, ceiling=ceiling)


def test_all_that_are_configured_are_offered_until_somebody_chooses(engine: Engine) -> None:
    assert offered(engine) == CEILING
    assert offered(engine, (*CEILING, "CHF")) == (*CEILING, "CHF")


def test_what_is_chosen_is_offered_in_the_order_of_the_configuration(engine: Engine, origin: Origin) -> None:
    settings.offer(engine, origin, ["JPY", "GEL", "JPY"], ceiling=CEILING)
    assert offered(engine) == ("GEL", "JPY")
    assert offered(engine, (*CEILING, "CHF")) == ("GEL", "JPY")
    event = settings.last_change(engine)
    assert event is not None
    assert (event.subject_type, event.type, event.actor) == ("settings", "currencies.changed", origin.actor)
    assert event.data == {"offered": [], "withdrawn": ["USD", "EUR"]}


def test_the_configuration_stays_the_ceiling(engine: Engine, origin: Origin) -> None:
    settings.offer(engine, origin, ["USD", "JPY"], ceiling=CEILING)
    assert offered(engine, ("USD", "GEL")) == ("USD",)
    assert offered(engine, ("GEL", "EUR")) == ("GEL", "EUR")


@pytest.mark.parametrize("codes", [["CHF"], ["usd"], ["USD", "XXX"], ["USD "]])
def test_nothing_beyond_it_can_be_offered(engine: Engine, origin: Origin, codes: list[str]) -> None:
    with pytest.raises(UnsupportedCurrency):
        settings.offer(engine, origin, codes, ceiling=CEILING)
    assert offered(engine) == CEILING


def test_one_must_stay(engine: Engine, origin: Origin) -> None:
    with pytest.raises(InvalidArgument, match="at least one"):
        settings.offer(engine, origin, [], ceiling=CEILING)


def test_who_has_not_seen_the_latest_choice_changes_nothing(engine: Engine, origin: Origin) -> None:
    _, seen = settings.offered_version(engine, ceiling=CEILING)
    settings.offer(engine, origin, ["USD"], ceiling=CEILING, expected_version=seen)
    with pytest.raises(VersionConflict):
        settings.offer(engine, origin, ["GEL"], ceiling=CEILING, expected_version=seen)
    settings.offer(engine, origin, ["USD"], ceiling=CEILING, expected_version=seen)
    assert settings.offered_version(engine, ceiling=CEILING) == (("USD",), seen + 1)
