"""Becomes another program that ends when its parent does. Run by path, with nothing of ours imported:

    python -I -S tied.py PARENT_PID SIGNAL UID:GID|- PROGRAM [ARGUMENT...]

A small program instead of a function run between fork and exec, which would not be safe in a process
that has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, account = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if account != "-":
        _become(*map(int, account.split(":")))
    # After the change of user, which clears it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        sys.exit("The parent ended first.")
    # A shell's background job ignores SIGINT, and what is ignored stays ignored across exec.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(sys.argv[4], sys.argv[4:])  # noqa: S606 - the caller's own program


def _become(uid: int, gid: int) -> None:
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main()
