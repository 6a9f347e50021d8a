"""Backups taken while everything runs, and restores of them, as docs/operations.md says they are made."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from embedded.placement import Placement, place
from embedded.postgres import Postgres
from embedded.temporal import Temporal


class PostgresBackup:
    """A base backup by pg_basebackup, with the log that makes it whole."""

    def __init__(self, data_dir: Path, postgres: Postgres, directory: Path) -> None:
        self._placement: Placement = place(data_dir, print)
        self._postgres = postgres
        self._directory = directory

    def take(self) -> None:
        command = [str(self._placement.programs / "pg_basebackup"), "-D", str(self._directory)]
        command += ["--dbname", self._postgres.url(), "--wal-method", "stream", "--checkpoint", "fast"]
        subprocess.run(command, check=True, timeout=120)

    def restore(self) -> None:
        """In place of what is there now, which is lost."""
        data = self._placement.data
        owner = data.stat()
        self._postgres.stop()
        shutil.rmtree(data)
        shutil.copytree(self._directory, data)
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        data.chmod(0o700)
        self._postgres.start()


class TemporalBackup:
    """Of the development server's file, while it is written."""

    def __init__(self, data_dir: Path, temporal: Temporal, copy: Path) -> None:
        self._file = data_dir / "temporal" / "temporal.sqlite"
        self._temporal = temporal
        self._copy = copy

    def take(self) -> None:
        with closing(sqlite3.connect(self._file, timeout=30)) as live, closing(sqlite3.connect(self._copy)) as copy:
            live.backup(copy)

    def restore(self) -> None:
        self._without_server(lambda: shutil.copyfile(self._copy, self._file))

    def empty(self) -> None:
        self._without_server(lambda: None)

    def _without_server(self, put: object) -> None:
        self._temporal.stop()
        for path in self._file.parent.glob("temporal.sqlite*"):
            path.unlink()
        put()  # type: ignore[operator]
        self._temporal.start()
