"""The turn at a file: one at a time, whatever the order in which the tickets of the queue become visible."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import WarehouseUnavailable
from pipelines.state import lock
from pipelines.state.lock import hold_lock


def test_a_ticket_that_becomes_visible_late_does_not_share_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number was drawn before the holder's, so it sorts first; its process was descheduled in between."""
    file = tmp_path / "x.lock"
    with hold_lock(file, "holder", 1):
        monkeypatch.setattr(lock.time, "time_ns", lambda: 1)
        taken: list[str] = []

        def take() -> None:
            try:
                with hold_lock(file, "late", 0.2):
                    taken.append("the turn")
            except WarehouseUnavailable as error:
                taken.append(str(error))

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert taken != ["the turn"]
    assert "holder" in taken[0]
    with hold_lock(file, "next", 1):
        pass


def test_many_threads_and_processes_are_alone_in_their_turn(tmp_path: Path) -> None:
    file, log = tmp_path / "x.lock", tmp_path / "log"
    code = (
        "import sys, threading, time; from pathlib import Path; from pipelines.state.lock import hold_lock\n"
        "file, log = map(Path, sys.argv[1:])\n"
        "def work():\n"
        "    for _ in range(10):\n"
        "        with hold_lock(file, 'work', 60), log.open('a') as out:\n"
        "            out.write('in\\n'); out.flush(); time.sleep(0.001); out.write('out\\n'); out.flush()\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(file), str(log)]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert log.read_text().split() == ["in", "out"] * 120


def test_a_child_that_inherits_the_turn_keeps_it_when_its_parent_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "x.lock"
    code = (
        "import os, subprocess, sys; from pathlib import Path; from pipelines.state.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 'a build', 5) as turn:\n"
        "    child = subprocess.Popen(['sleep', '60'], pass_fds=[turn])\n"
        "    print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
    with pytest.raises(WarehouseUnavailable, match="a build"), hold_lock(file, "next", 0.2):
        pass
    subprocess.run(["kill", str(child)], check=True)
    time.sleep(0.1)
    with hold_lock(file, "next", 5):
        pass
