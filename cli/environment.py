"""Which system a command is about: the one of the environment, else the bin/dev that runs in DATA_DIR."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import click
from sqlalchemy import Engine

from billing.ledger.engines import create_engine
from billing.settings import Settings
from embedded import run_state

CHECKOUT = Path(__file__).resolve().parents[1]


@cache
def environment() -> Mapping[str, str]:
    """The variables of this process; without DATABASE_URL, over those that a running bin/dev was given."""
    if os.environ.get("DATABASE_URL"):
        return os.environ
    data_dir = Path(os.environ.get("DATA_DIR") or CHECKOUT / "var").resolve()
    running = run_state.read(data_dir)
    if running is None:
        raise click.ClickException(f"DATABASE_URL is not set, and no bin/dev runs with its data in {data_dir}")
    return {**running.environment, **{name: value for name, value in os.environ.items() if value}}


@cache
def settings() -> Settings:
    return Settings.from_environment(environment())


@cache
def engine() -> Engine:
    return create_engine(settings().database_url)
