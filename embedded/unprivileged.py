"""PostgreSQL refuses to run as root: which user runs it then, and what that user can reach."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    def can_enter(self, directory: Path) -> bool:
        return self.can_run(["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)])

    def can_run(self, command: list[str]) -> bool:
        """Tried rather than worked out from modes: access lists and mount options count as well."""
        try:
            done = subprocess.run(  # noqa: S603 - our own programs
                command,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return done.returncode == 0


def is_root() -> bool:
    return os.geteuid() == 0


def service_account() -> Account:
    """The user that a distribution's PostgreSQL would have, else the one that owns nothing."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError("PostgreSQL can't run as root, and there is no user postgres or nobody to run it as.")


def owner_of(path: Path) -> Account:
    entry = path.stat()
    try:
        name = pwd.getpwuid(entry.st_uid).pw_name
    except KeyError:
        name = str(entry.st_uid)
    return Account(name, entry.st_uid, entry.st_gid)
