"""Clients go on as far as kills have come, and no further."""

from __future__ import annotations

import threading

from tests.chaos.gate import Gate


def passing(gate: Gate, progress: float, stop: threading.Event) -> threading.Thread:
    def run() -> None:
        gate.wait(progress, stop)
        gate.leave()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_client_waits_until_it_is_released() -> None:
    gate, stop = Gate(2), threading.Event()
    first, second = passing(gate, 0.25, stop), passing(gate, 0.75, stop)

    assert gate.wait_until_all_wait(20)
    gate.release(0.5)
    first.join(20)
    assert not first.is_alive()
    # Who has left is not waited for.
    assert gate.wait_until_all_wait(20)
    assert second.is_alive()
    gate.release(1.0)
    second.join(20)
    assert not second.is_alive()


def test_who_is_told_to_stop_waits_no_longer() -> None:
    gate, stop = Gate(1), threading.Event()
    waiting = passing(gate, 0.5, stop)
    assert gate.wait_until_all_wait(20)
    stop.set()
    waiting.join(20)
    assert not waiting.is_alive()
