from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from billing.origin import ascii_json


@given(st.lists(st.none() | st.text()))
def test_values_are_written_as_they_were_when_stored_fingerprints_were_made(values: list[str | None]) -> None:
    assert ascii_json(values) == json.dumps(values)
