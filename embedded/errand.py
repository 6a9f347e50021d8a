"""A command that is run to its end."""

import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from embedded.child import tied

Done = subprocess.CompletedProcess[str]


def run(
    command: list[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    pause: Callable[[float], None],
    text: str = "",
    show: bool = False,
) -> Done:
    """Like subprocess.run, but calls `pause` all the while, and ends the command when that raises.

    `text` is its standard input. With `show` its output goes to ours instead of to the result.
    """
    output = None if show else subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - the caller's own program
        tied(command, signal.SIGTERM),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=cwd,
        env=environment,
        text=True,
        start_new_session=True,
    ) as process:
        unsent: str | None = text
        try:
            while True:
                try:
                    out, err = process.communicate(unsent, timeout=0.05)
                except subprocess.TimeoutExpired:
                    unsent = None
                    pause(0)
                else:
                    return subprocess.CompletedProcess(command, process.returncode, out or "", err or "")
        except BaseException:
            process.kill()
            raise
