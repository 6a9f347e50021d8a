"""What gunicorn itself says, in lines like ours."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from billing.logs import formatter


class ServerLog(Logger):
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter())
