"""The same seed kills the same and asks for the same; another one does not."""

from __future__ import annotations

from itertools import islice

from tests.chaos.decisions import WINDOW, Do, Life, Plan, decisions, reads
from tests.chaos.schedule import PAIRS, SINGLES, strikes

PLAN = Plan(seed=7, items=500, bills=30, clients=4)


def test_a_seed_has_one_schedule() -> None:
    assert list(strikes(7, 40)) == list(strikes(7, 40))
    assert list(strikes(7, 40)) != list(strikes(8, 40))


def test_twenty_kills_have_every_process_and_every_pair() -> None:
    kinds = {frozenset(kind) for kind in (*SINGLES, *PAIRS)}
    for seed in range(20):
        assert {frozenset(strike.targets) for strike in strikes(seed, 20)} == kinds


def test_what_is_killed_is_started_again() -> None:
    assert all(sorted(strike.targets) == sorted(strike.restarts) for strike in strikes(7, 100))


def test_a_seed_has_one_set_of_decisions_for_each_client() -> None:
    for client in range(PLAN.clients):
        assert list(decisions(PLAN, client)) == list(decisions(PLAN, client))
    assert list(decisions(PLAN, 0)) != list(decisions(PLAN, 1))
    assert list(islice(reads(PLAN, 0), 10)) == list(islice(reads(PLAN, 0), 10))


def test_clients_ask_for_all_items_in_the_bills_order() -> None:
    every = [list(decisions(PLAN, client)) for client in range(PLAN.clients)]

    assert sum(decision.items for mine in every for decision in mine) == PLAN.items
    for mine in every:
        assert [decision.progress for decision in mine] == sorted(decision.progress for decision in mine)
        assert all(0 <= decision.bill < PLAN.bills for decision in mine)
        assert max(decision.bill for decision in mine if decision.items) >= PLAN.bills - WINDOW


def test_every_bill_that_is_to_be_closed_has_somebody_who_does_so_and_no_other_is_closed() -> None:
    every = [decision for client in range(PLAN.clients) for decision in decisions(PLAN, client)]

    closed = {decision.bill for decision in every if decision.do is Do.CLOSE}
    assert closed == {bill for bill in range(PLAN.bills) if PLAN.life(bill) is Life.CLOSED}


def test_a_long_run_does_everything() -> None:
    done = {decision.do for client in range(4) for decision in decisions(Plan(1, 2_000, 20, 4), client)}
    assert done == set(Do)
