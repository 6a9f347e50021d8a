"""Tokens of links in what libraries log: masked in every record of the process, whoever writes it.

Our own lines name routes and never addresses. A server's remark on a broken request has the whole address.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from webapp.customer.blueprint import PATH

MASK = "[link]"
# Mistyped ones too: they may be a letter away from the right one.
_TOKEN = re.compile(rf"({PATH}/)[^/\s?#'\"]+")
_make_record = logging.getLogRecordFactory()


def masked(text: str) -> str:
    return _TOKEN.sub(rf"\1{MASK}", text)


def mask_records() -> None:
    """For all loggers, those with handlers of their own included. Said again, it changes nothing."""
    logging.setLogRecordFactory(_masked_record)


def _masked_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = _make_record(*args, **kwargs)
    record.msg = _without_tokens(record.msg)
    if isinstance(record.args, dict):
        record.args = {name: _without_tokens(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(_without_tokens(value) for value in record.args)
    return record


def _without_tokens(value: Any) -> Any:
    """What isn't text is left alone unless its text would carry a token."""
    if isinstance(value, (int, float, type(None))):
        return value
    text = str(value)
    return masked(text) if f"{PATH}/" in text else value
