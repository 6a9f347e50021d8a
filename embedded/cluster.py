"""The making of PostgreSQL's data, which it calls a database cluster."""

import os
import secrets
import shutil
from pathlib import Path

from embedded.files import write_private
from embedded.placement import Placement

USER = "pave"


class NewCluster:
    """Made beside its place and then moved there: an interrupted making is never taken for data."""

    def __init__(self, placement: Placement, *, durable: bool) -> None:
        self._placement = placement
        self._durable = durable
        self._directory = placement.home / "data.new"
        self._password_file = placement.home / "password.new"

    def prepare(self) -> list[str]:
        """Writes a new password beside the data; returns the command that makes them."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(mode=0o700)
        password = secrets.token_hex(16)
        write_private(self._placement.home / "password", password)
        write_private(self._password_file, password)
        if self._placement.account:
            for path in (self._directory, self._password_file):
                os.chown(path, self._placement.account.uid, self._placement.account.gid)
        return self._initdb()

    def put_in_place(self) -> None:
        self._directory.rename(self._placement.data)

    def forget_password_file(self) -> None:
        self._password_file.unlink(missing_ok=True)

    def _initdb(self) -> list[str]:
        command = [str(self._placement.programs / "initdb"), "-D", str(self._directory)]
        command += ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={self._password_file}"]
        # The same order and letters on every system, whatever locales it has.
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return command if self._durable else [*command, "--no-sync"]


def password(home: Path) -> str:
    return (home / "password").read_text().strip()
