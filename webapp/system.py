"""What commands and queries work with, one per process: configuration, database, workflows, rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from flask import current_app
from sqlalchemy import Engine

from webapp.config import Config
from webapp.rates import RatesReader
from workflows.client import BillWorkflows


class System:
    """Made once with the application; connects to nothing until something is asked of it."""

    def __init__(self, config: Config, engine: Engine):
        self.config = config
        self.engine = engine
        self.rates = RatesReader(engine, config.settings)

    @property
    def supported_currencies(self) -> tuple[str, ...]:
        return self.config.settings.supported_currencies

    @cached_property
    def workflows(self) -> BillWorkflows:
        """Made at first use: the Temporal client must not exist before a server forks."""
        return BillWorkflows(self.config.settings)

    @cached_property
    def background(self) -> ThreadPoolExecutor:
        """For questions whose answers a request doesn't wait for at any length."""
        return ThreadPoolExecutor(max_workers=6, thread_name_prefix="background")


def system() -> System:
    """The system of the application that answers this request."""
    found: System = current_app.extensions["pave"]
    return found
