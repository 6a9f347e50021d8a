from __future__ import annotations

import pytest
from sqlalchemy import Engine

from billing.origin import Origin
from tests.support.sharing import Sharing
from webapp.config import Config
from webapp.documents import pdf


@pytest.fixture(autouse=True)
def no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a document is made; what is said when it takes too long has a test of its own."""
    monkeypatch.setattr(pdf, "WITHIN_S", 200)


@pytest.fixture
def sharing(engine: Engine, origin: Origin, config: Config) -> Sharing:
    return Sharing(engine, origin, config.secret_key)
