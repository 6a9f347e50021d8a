import os
import subprocess
import sys
from pathlib import Path

from embedded import run_state

WRITE_AND_END = """
import sys; from pathlib import Path; from embedded import run_state
run_state.write(Path(sys.argv[1]), url="http://localhost:1", temporal_ui_url=None, environment={})
"""


def test_what_runs_is_found_with_its_environment(tmp_path: Path) -> None:
    run_state.write(tmp_path, url="http://localhost:1", temporal_ui_url=None, environment={"A": "1"})
    state = run_state.read(tmp_path)
    assert state is not None
    assert (state.pid, state.environment) == (os.getpid(), {"A": "1"})


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    run_state.write(tmp_path, url="http://localhost:1", temporal_ui_url=None, environment={})
    assert (tmp_path / run_state.FILE).stat().st_mode & 0o777 == 0o600


def test_what_a_process_left_that_has_ended_is_not_found(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE_AND_END, str(tmp_path)], check=True)
    assert (tmp_path / run_state.FILE).exists()
    assert run_state.read(tmp_path) is None


def test_nothing_runs_where_nothing_was_written(tmp_path: Path) -> None:
    assert run_state.read(tmp_path) is None
    (tmp_path / run_state.FILE).write_text("{")
    assert run_state.read(tmp_path) is None
