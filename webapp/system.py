"""What commands and queries work with, one per process: configuration, database, workflows, rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from uuid import UUID

from flask import Flask, Response, after_this_request, current_app, has_request_context, render_template
from sqlalchemy import Engine

from billing.ledger import epochs, feed
from billing.ledger.group_commit import GroupCommit
from billing.ledger.settings import offered
from billing.ledger.standings import standings
from billing.sealing import Seal
from webapp.attention import ATTENTION_FOR_S, TemporalReach, look
from webapp.config import Config
from webapp.live.admission import admitted
from webapp.live.bounds import most_streams
from webapp.live.hub import Hub
from webapp.live.log_watch import LogWatch
from webapp.rates import RatesReader
from webapp.remembered import Remembered
from workflows.client import BillWorkflows

OFFERED_FOR_S = 1.0


class System:
    """Made once with the application; connects to nothing until something is asked of it."""

    def __init__(self, config: Config, engine: Engine):
        self.config = config
        self.app: Flask | None = None
        self.engine = engine
        self.adding = GroupCommit(engine)
        self.rates = RatesReader(engine, config.settings)
        self.offered = Remembered(partial(offered, engine, ceiling=self.configured_currencies), for_s=OFFERED_FOR_S)
        read = partial(standings, engine, samples=config.settings.sample_rates)
        self.temporal_reach = TemporalReach(lambda: self.background.submit(self.workflows.is_reachable))
        self.attention = Remembered(partial(look, self), for_s=ATTENTION_FOR_S)
        self.live = Hub(
            read, partial(admitted, engine), most=most_streams(), most_threads=max(1, config.web_threads // 2)
        )
        self.log_watch = LogWatch(partial(feed.head, engine), self.live.stops, most=max(1, config.web_threads // 4))

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
        with self.app.test_request_context():
            return render_template(template, **given)

    def close(self) -> None:
        """Nothing of it runs any more, and no connection is left, once this returns."""
        self.live.close()
        self.log_watch.close()
        if "background" in self.__dict__:
            self.background.shutdown()
        self.engine.dispose()

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
    """The system of the application that answers this request."""
    found: System = current_app.extensions["pave"]
    return found
