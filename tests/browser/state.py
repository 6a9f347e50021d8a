"""What a state of a page is: where it is found, who looks at it, and what they do there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.browser.steps import Steps
from webapp.identity.roles import Role

GUARDED = "guarded"


class Place(StrEnum):
    """A running application: as most are, with a rates provider, with no data, with its database out of reach."""

    USUAL = "usual"
    PROVIDED = "provided"
    BARE = "bare"
    CUT_OFF = "cut off"


@dataclass(frozen=True, slots=True)
class State:
    """`address` is filled with the names of `tests/support/world.py`; `who` is a
    role, an account, or None for somebody not signed in."""

    name: str
    address: str
    steps: Steps | None = None
    who: str | None = Role.OPERATOR
    place: Place = Place.USUAL

    def __str__(self) -> str:
        return self.name


def viewed(name: str, address: str, steps: Steps | None = None) -> State:
    return State(name, address, steps, Role.VIEWER)


def administered(name: str, address: str, steps: Steps | None = None) -> State:
    return State(name, address, steps, Role.ADMIN)


def by_anybody(name: str, address: str, steps: Steps | None = None, place: Place = Place.USUAL) -> State:
    return State(name, address, steps, None, place)


def of_none(name: str, address: str, steps: Steps | None = None) -> State:
    return State(name, address, steps, place=Place.BARE)
