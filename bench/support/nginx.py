"""nginx with nchan, of Debian's packages: a fan-out server of its own on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from bench.support.load import LOOPBACK

PACKAGES = ("nginx", "libnginx-mod-nchan")
MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
READY_WITHIN_S = 10
INSTALLED_WITHIN_S = 300
CONFIGURATION = """
load_module {module};
worker_processes 2;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-errors.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/nginx-bodies;
  proxy_temp_path {directory}/nginx-proxied;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  tcp_nodelay on;
  server {{
    listen {host}:{port};
    location ~ ^/publish/(.+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 100; }}
    location ~ ^/watch/(.+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
  }}
}}
"""


class Missing(Exception):
    """It isn't installed, and can't be installed here."""


class Nginx:
    """From `start` to `stop`, by its process id. Raises Missing."""

    def __init__(self, directory: Path) -> None:
        self._program = _program()
        self.port = _free_port()
        self._file = directory / "nginx.conf"
        self._file.write_text(
            CONFIGURATION.format(module=MODULE, directory=directory, host=LOOPBACK, port=self.port), encoding="utf-8"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._file)], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_WITHIN_S
        while not _listens(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("nginx did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _program() -> str:
    if shutil.which("nginx") is None or not MODULE.exists():
        _install()
    found = shutil.which("nginx")
    if found is None or not MODULE.exists():
        raise Missing("nginx or its nchan module could not be installed")
    return found


def _install() -> None:
    """Only where packages are the system's to install, and this is allowed to."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"{' and '.join(PACKAGES)} are not installed")
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], env=quietly, capture_output=True, check=False, timeout=INSTALLED_WITHIN_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
