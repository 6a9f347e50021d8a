"""What commands and queries work with, one per process and mode: configuration, database, workflows, rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from uuid import UUID

from flask import Flask, Response, after_this_request, current_app, has_request_context, render_template
from sqlalchemy import Engine

from billing.ledger import epochs, feed, modes
from billing.ledger.engines import create_test_engine
from billing.ledger.group_commit import GroupCommit
from billing.ledger.settings import offered
from billing.ledger.standings import standings
from billing.sealing import Seal
from webapp.attention import ATTENTION_FOR_S, TemporalReach, look
from webapp.config import Config
from webapp.identity.rate_limits import RateLimiter
from webapp.live.admission import admitted
from webapp.live.bounds import most_streams
from webapp.live.hub import Hub
from webapp.live.log_watch import LogWatch
from webapp.modes import below_prefix, in_test_mode
from webapp.rates import RatesReader
from webapp.remembered import Remembered
from workflows.client import BillWorkflows

OFFERED_FOR_S = 1.0


class System:
    """Made once with the application; connects to nothing until something is asked of it."""

    def __init__(self, config: Config, engine: Engine, of_test_mode: System | None = None):
        self.config = config
        self.of_test_mode = of_test_mode
        self.is_test = modes.is_test(engine)
        self.app: Flask | None = None
        self.engine = engine
        self.adding = GroupCommit(engine)
        self.rate_limiter = RateLimiter(config.api_rate_limit)
        self.rates = RatesReader(engine, config.settings)
        self.offered = Remembered(partial(offered, engine, ceiling=self.configured_currencies), for_s=OFFERED_FOR_S)
        read = partial(standings, engine, samples=config.settings.sample_rates)
        self.temporal_reach = TemporalReach(lambda: self.background.submit(self.workflows.is_reachable))
        self.attention = Remembered(partial(look, self), for_s=ATTENTION_FOR_S)
        streaming, watching = (8, 8) if self.is_test else (2, 4)
        self.live = Hub(
            read,
            partial(admitted, engine),
            most=self._most_streams(),
            most_threads=max(1, config.web_threads // streaming),
        )
        self.log_watch = LogWatch(
            partial(feed.head, engine), self.live.stops, most=max(1, config.web_threads // watching)
        )

    @classmethod
    def with_test_mode(cls, config: Config, engine: Engine) -> System:
        settings = config.settings
        test_engine = create_test_engine(settings.database_url)
        return cls(config, engine, cls(replace(config, settings=settings.in_test_mode), test_engine))

    def _most_streams(self) -> int:
        """What is tried out takes little from live pages."""
        return max(1, most_streams() // 10) if self.is_test else most_streams()

    def tell_pages(self, bill_id: UUID) -> None:
        """That something about the bill was committed: once this request is answered, so that nobody waits for it."""
        if not has_request_context():
            self.live.changed(bill_id)
            return

        @after_this_request
        def tell(response: Response) -> Response:
            response.call_on_close(lambda: self.live.changed(bill_id))
            return response

    def rendered(self, template: str, **given: object) -> str:
        """Outside of any request, for many readers at once: addresses are as pages have them."""
        if self.app is None:
            raise RuntimeError("nothing renders before the application is made")
        with self.app.test_request_context(environ_overrides=below_prefix() if self.is_test else {}):
            return render_template(template, **given)

    def close(self) -> None:
        """Nothing of it runs any more, and no connection is left, once this returns."""
        self.live.close()
        self.log_watch.close()
        if "background" in self.__dict__:
            self.background.shutdown()
        self.engine.dispose()
        if self.of_test_mode:
            self.of_test_mode.close()

    @property
    def configured_currencies(self) -> tuple[str, ...]:
        """The ceiling: those that administrators may offer."""
        return self.config.settings.supported_currencies

    @property
    def supported_currencies(self) -> tuple[str, ...]:
        """Those that are offered for new items, as every process knows a second after it was decided."""
        return self.offered()

    @cached_property
    def seal(self) -> Seal:
        return Seal(self.config.secret_key)

    @cached_property
    def workflows(self) -> BillWorkflows:
        """Made at first use: the Temporal client must not exist before a server forks."""
        return BillWorkflows(self.config.settings, partial(epochs.current, self.engine))

    @cached_property
    def background(self) -> ThreadPoolExecutor:
        """For questions whose answers a request doesn't wait for at any length."""
        return ThreadPoolExecutor(max_workers=6, thread_name_prefix="background")


def system() -> System:
    """The system of the application that answers this request, of the mode that the request is in."""
    live: System = current_app.extensions["pave"]
    return live.of_test_mode if in_test_mode() and live.of_test_mode else live
