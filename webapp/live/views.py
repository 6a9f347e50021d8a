"""What open pages can show of a bill: pages that show the same are told in the same words, made once."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from billing.ledger.standings import Standing

END_OF_PIECE = "</template>"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows. `seen` stands for all of it but items and events; `told`: how many changes of the bill and
    its links that is, by which what another process knows is compared."""

    seen: str
    version: int
    links: int
    items: int

    @property
    def told(self) -> int:
        return self.version + self.links


@dataclass(frozen=True, slots=True)
class News:
    """What brings pages up to date, and to what. `pieces` go to a place on the page each."""

    shown: Shown
    pieces: Sequence[str]


Memo = dict[Hashable, Any]


class View(Protocol):
    """Equal views show the same, to whoever they are shown. Hashable."""

    @property
    def bill_id(self) -> UUID: ...

    def shown(self, standing: Standing) -> Shown:
        """Of a bill that isn't closed, known by its standing alone."""

    def news(self, since: Shown, read: Memo) -> News:
        """Read and rendered. `read`: what other views read at this look. Raises as reading a bill does."""


def pieces_of(rendered: str) -> list[str]:
    """A fragment's templates, one by one: none holds another."""
    return [f"{piece.strip()}{END_OF_PIECE}" for piece in rendered.split(END_OF_PIECE) if piece.strip()]


def standing_words(shown: Shown) -> bytes:
    """For a page to compare with what it shows: said first, and every few seconds. A browser tells no script of a
    comment."""
    return _event("alive", {"seen": shown.seen, "version": shown.version, "told": shown.told})


def news_words(since: Shown, now: Shown, pieces: Sequence[str] | None, *, within_ms: int) -> bytes:
    """To a page that shows `since`. Without pieces every page asks, at some moment `within_ms`."""
    said: dict[str, object] = {"seen": now.seen, "version": now.version, "told": now.told, "from": since.seen}
    said |= {"within": within_ms} if pieces is None else {"html": "".join(pieces)}
    return _event("news", said)


def _event(name: str, said: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(said, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
