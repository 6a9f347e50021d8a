from __future__ import annotations

import pytest
from sqlalchemy import Engine

from billing.origin import Origin
from tests.support.sharing import Sharing
from webapp.config import Config


@pytest.fixture
def sharing(engine: Engine, origin: Origin, config: Config) -> Sharing:
    return Sharing(engine, origin, config.secret_key)
