"""Whether the content security policy of an answer is strict. That nothing breaks it, every browser listens for."""

from __future__ import annotations

from collections.abc import Iterator

STRICT = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"}
LOOSE = ("unsafe", "*", "http")


def faults(address: str, policy: str) -> Iterator[str]:
    rules = {rule.strip() for rule in policy.split(";")}
    yield from (f"policy of {address} lacks {rule}" for rule in sorted(STRICT - rules))
    loose = sorted(rule for rule in rules if any(part in rule for part in LOOSE))
    yield from (f"policy of {address} has {rule}" for rule in loose)
