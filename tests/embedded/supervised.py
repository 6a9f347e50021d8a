"""A supervisor of two programs for test_processes.py: `python -m tests.embedded.supervised DATA_DIR`.

Both have a child of their own; `stubborn` and its child ignore every request to end.
"""

import sys
from pathlib import Path

from embedded import processes
from embedded.child import Child
from embedded.processes import AlreadyRunning, Program, Stopped, Supervisor, say

PROGRAM = """
import os, signal, sys, time
if sys.argv[1] == "stubborn":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
child = os.fork()
if child:
    print("up", os.getpid(), child, flush=True)
time.sleep(120)
"""


def main() -> None:
    data_dir = Path(sys.argv[1])
    # However slowly a busy machine starts them, one that dies at once is not taken for sound.
    processes.SOUND_AFTER_SECONDS = 120
    try:
        with Supervisor(data_dir) as supervisor:
            for name in ("willing", "stubborn"):
                command = [sys.executable, "-c", PROGRAM, name]
                child = Child(name, command, record=data_dir / f"{name}.process.json")
                supervisor.add(Program(child), stop_within=1)
            supervisor.run()
    except Stopped:
        say("stopped")
    except AlreadyRunning:
        say("already running")


if __name__ == "__main__":
    main()
