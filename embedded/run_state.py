"""How other commands find a running system: what its processes were given, in DATA_DIR/run.json."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded import process_table
from embedded.files import read_if_there, write_private

FILE = "run.json"


@dataclass(frozen=True)
class RunState:
    """`environment` holds secrets, as the variables of the running processes do."""

    pid: int
    started: str
    url: str
    temporal_ui_url: str | None
    environment: dict[str, str]


def write(data_dir: Path, *, url: str, temporal_ui_url: str | None, environment: dict[str, str]) -> None:
    """In the name of this very process."""
    identity = process_table.identify(os.getpid())
    started = identity.started if identity else ""
    state = RunState(os.getpid(), started, url, temporal_ui_url, environment)
    write_private(data_dir / FILE, json.dumps(asdict(state), indent=2))


def read(data_dir: Path) -> RunState | None:
    """None when nothing runs there, also when what ran was killed and so left its file."""
    try:
        state = RunState(**json.loads(read_if_there(data_dir / FILE) or "null"))
    except (TypeError, ValueError):
        return None
    return state if process_table.Identity(state.pid, state.started).alive else None


def remove(data_dir: Path) -> None:
    (data_dir / FILE).unlink(missing_ok=True)
