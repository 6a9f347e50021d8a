"""The list of guards is about this project as it is. That each is missed by its test, bin/guards shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.guards.known import GUARDS, Guard

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_it_stands_where_the_list_says_and_its_test_is_there(guard: Guard):
    assert (PROJECT / guard.file).read_text(encoding="utf-8").count(guard.old) == 1
    assert guard.old != guard.new
    given = shlex.split(guard.test)
    file, *names = given[0].split("::")
    text = (PROJECT / file).read_text(encoding="utf-8")
    assert all(f"def {name}(" in text or f"class {name}" in text for name in names)
    if "-k" in given and given[-1].startswith("test_"):
        assert f"def {given[-1]}" in text


def test_no_two_have_one_name():
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= 20
