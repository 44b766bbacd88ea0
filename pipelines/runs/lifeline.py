"""Ends a process when the one that started it is gone, so that no orphan goes on writing for a run that nobody follows.

Two ways, as there are two kinds of children: a foreign program is started through this file (``mortal``), and a Python process of
`multiprocessing`, such as a Dagster step, watches its parent by itself (``end_with_parent``). The program's way is Linux's own;
elsewhere an orphan ends its work and keeps its turn at the warehouse until then (see ``dbt_process``).
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def mortal(command: Sequence[str]) -> list[str]:
    """Return the command that runs ``command`` until it ends, or the thread that started it does.

    That is the kernel's rule (``PR_SET_PDEATHSIG``), so start it from the thread that waits for it.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def end_with_parent() -> None:
    """From now on, kill this process when its `multiprocessing` parent dies; in any other process, do nothing."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_nobody, args=(parent.sentinel,), name="lifeline", daemon=True).start()


def _outlive_nobody(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _become(parent: int, command: Sequence[str]) -> None:
    """Turn this process into the command, with the kernel's word that it dies with its parent."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused to tie this process to its parent")
    if os.getppid() == parent:  # else the parent died before the kernel was asked
        os.execv(command[0], list(command))


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
