"""Schemathesis over the served document: cases made of its schemas, right ones and wrong ones, the same in every run.

bin/fuzz 30    # long: for so many minutes, from a seed of its own
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fuzzing import LONGEST_S, fuzz
from tests.support.stack import Stack
from webapp.identity import api_keys
from webapp.identity.roles import Role

EXAMPLES = "10"
SEED = "2026"


@pytest.mark.timeout(LONGEST_S)
def test_nothing_fails_every_answer_is_what_the_document_says_and_no_refusal_takes_long(stack: Stack, tmp_path: Path):
    key = api_keys.create(stack.engine, name="schemathesis", role=Role.ADMIN)

    found = fuzz(stack.url, key, tmp_path, seed=SEED, examples=EXAMPLES)

    print(
        f"{found.output[-600:]}\n{found.calls} calls, {len(found.links)} links, slowest {found.slowest_refusal_s:.3f} s"
    )
    assert found.is_good, found.output[-25_000:]
    assert found.failures == 0
    assert found.calls > 2_000
    assert found.slow == []
    # What is made is followed by what can be done with it. Which ways are taken depends on how far the worker has come
    # with an import when that is asked for: these runs followed 20 or 26 links.
    assert len(found.links) >= 15, sorted(found.links)
    assert any(link.startswith("POST /bills ->") for link in found.links)
