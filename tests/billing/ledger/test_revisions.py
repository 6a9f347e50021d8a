"""What the migrations' files say of themselves."""

from __future__ import annotations

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from billing.ledger import revisions


def test_the_newest_are_those_that_alembic_finds() -> None:
    assert revisions.newest() == set(ScriptDirectory(str(revisions.VERSIONS.parent)).get_heads())


def test_a_migrated_database_has_the_newest(engine: Engine) -> None:
    with engine.connect() as connection:
        assert set(connection.execute(text(revisions.APPLIED)).scalars()) == revisions.newest()
