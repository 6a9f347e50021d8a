"""All that watch one view in this process, and what their pages show as far as this process knows."""

from __future__ import annotations

import structlog

from billing.errors import BillingError, Unavailable
from billing.ledger.standings import Standing
from webapp.live.views import Memo, News, Shown, View, news_words, standing_words
from webapp.live.watches import Watch

log = structlog.get_logger(__name__)

# Longer words aren't said: each page asks for what it lacks.
LONGEST_WORDS_BYTES = 128 * 1024
# Pages that ask at once are spread over so long for each of them.
SPREAD_MS_EACH = 10
LONGEST_SPREAD_MS = 5_000


class Audience:
    """Changed by the live thread alone, but for who belongs to it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.watches: set[Watch] = set()
        self.shown: Shown | None = None
        # By its standing: what news lead to may have another word, as where a currency is offered no more.
        self._known = ""
        self._pieces: frozenset[str] = frozenset()

    def greet(self, watch: Watch) -> None:
        if self.shown is not None:
            watch.say(standing_words(self.shown))

    def follow(self, standing: Standing, watches: list[Watch], read: Memo | None) -> int:
        """Tells all of what is new: how many bytes that took. Without `read` there is no time to render. Raises
        Unavailable."""
        now = self.view.shown(standing)
        if self.shown is None:
            self.shown = now
            return _said(standing_words(now), watches)
        if now.seen in {self.shown.seen, self._known} or now.told < self.shown.told:
            return 0
        self._known = now.seen
        news = None if read is None else self._news(self.shown, read)
        words = self._words(self.shown, news or News(now, ()), is_whole=news is not None, watching=len(watches))
        self.shown = news.shown if news else now
        return _said(words, watches)

    def _news(self, since: Shown, read: Memo) -> News | None:
        try:
            return self.view.news(since, read)
        except Unavailable:
            raise
        except BillingError as error:  # as of a currency that is no longer offered
            log.info("live_news_refused", reason=error.reason)
        except Exception as error:
            # A bug that shows with one bill must not end the streams of all. The pages that ask now log where it is.
            log.warning("live_news_failed", error=type(error).__qualname__, bill_id=str(self.view.bill_id))
        return None

    def _words(self, since: Shown, news: News, *, is_whole: bool, watching: int) -> bytes:
        """What is as it was said last needs no saying again."""
        spread_ms = min(SPREAD_MS_EACH * watching, LONGEST_SPREAD_MS)
        if is_whole:
            fresh = [piece for piece in news.pieces if piece not in self._pieces]
            self._pieces = frozenset(news.pieces)
            words = news_words(since, news.shown, fresh, within_ms=spread_ms)
            if len(words) <= LONGEST_WORDS_BYTES:
                return words
        # What pages ask for leads elsewhere than the pieces that were said last.
        self._pieces = frozenset()
        return news_words(since, news.shown, None, within_ms=spread_ms)


def _said(words: bytes, watches: list[Watch]) -> int:
    for watch in watches:
        watch.say(words)
    return len(words) * len(watches)
