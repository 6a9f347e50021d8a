"""The one declarative base: constraint names by convention, so that migrations and errors can name them."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData, text
from sqlalchemy.orm import DeclarativeBase

Instant = DateTime(timezone=True)
NOW = text("clock_timestamp()")
# Rows that are updated with every accepted item leave room, so that updates stay on their page.
ROOM_FOR_UPDATES = {"postgresql_with": {"fillfactor": "70"}}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
