"""What travels beside what Temporal is told: ids that belong in a log, from a request or out of a header."""

from __future__ import annotations

from uuid import uuid4

import pytest
from structlog.contextvars import clear_contextvars
from temporalio.converter import PayloadConverter

from billing import logs
from billing.origin import ActorKind
from workflows import causes

SOMEBODYS_ID = "0a4c1b1e-52b6-4b0e-9d0f-6f1d2c3b4a59"
SOMEBODY = f"user:{SOMEBODYS_ID}"


@pytest.fixture(autouse=True)
def _in_no_request() -> None:
    """Whatever another test served in this thread."""
    clear_contextvars()


def test_who_asks_in_which_request_comes_out_as_it_went_in() -> None:
    with logs.bound(request_id="close-1", actor=SOMEBODY, bill_id=str(uuid4())):
        headers = causes.written({}, causes.of_this_request())

    assert causes.read(headers) == {"request_id": "close-1", "actor": SOMEBODY}
    assert causes.of_this_request() == {}


@pytest.mark.parametrize("kind", ActorKind)
def test_every_kind_of_caller_is_named_by_an_id(kind: ActorKind) -> None:
    actor = f"{kind}:{uuid4()}"
    with logs.bound(actor=actor):
        assert causes.of_this_request() == {"actor": actor}


@pytest.mark.parametrize(
    "name", ["user:nino@example.com", "user:Nino", "user:", f"nobody:{SOMEBODYS_ID}", f"{SOMEBODY} x"]
)
def test_nobodys_name_or_address_goes_to_temporal_or_comes_from_it(name: str) -> None:
    with logs.bound(request_id="close-1", actor=name):
        assert causes.of_this_request() == {"request_id": "close-1"}
    assert causes.read(causes.written({}, {"request_id": "close-1", "actor": name})) == {"request_id": "close-1"}


@pytest.mark.parametrize("said", ["no cause", 7, {"request_id": "two words", "customer": "Nino", "actor": 7}])
def test_what_anybody_writes_into_the_header_is_no_cause(said: object) -> None:
    headers = {causes.HEADER: PayloadConverter.default.to_payload(said)}

    assert causes.read(headers) == {}
