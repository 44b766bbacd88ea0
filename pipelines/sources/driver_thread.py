"""A thread that makes a driver's calls one after the other, so that nobody waits for ever for a server that went silent.

A driver's call cannot be ended from outside: libpq waits for the server's next byte, and a kernel in between that still answers
(a stuck pooler, a stopped server) keeps the connection alive. So the caller stops waiting, and the thread keeps the connection.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

Answer = TypeVar("Answer")


class DriverThread:
    """Makes calls in the order they are given. Once one is overdue, nothing is waited for any more."""

    def __init__(self, name: str, patience_seconds: float) -> None:
        """Start the thread. It is a daemon: a call that never ends must not keep the process."""
        self.patience_seconds = patience_seconds
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_overdue = False
        threading.Thread(target=self._work, daemon=True, name=f"driver-{name}").start()

    def call(self, work: Callable[[], Answer]) -> Answer:
        """Return what ``work`` returns or raise what it raises. ``TimeoutError`` if that takes longer than the patience."""
        answer: Future[Answer] = Future()
        self._calls.put(partial(_answer, answer, work))
        if self._is_overdue:
            raise TimeoutError
        try:
            return answer.result(self.patience_seconds)
        except TimeoutError:
            self._is_overdue = not answer.done()
            raise
        finally:
            del answer  # it keeps an error that keeps this frame

    def end(self, last: Callable[[], None]) -> None:
        """Make one last call; it is waited for only if no call is overdue."""
        try:
            self.call(last)
        except TimeoutError:  # it is made if the overdue call ever ends
            return
        finally:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # what it holds must be free while the next one is waited for


def _answer(answer: Future[Answer], work: Callable[[], Answer]) -> None:
    try:
        answer.set_result(work())
    except BaseException as error:
        answer.set_exception(error)
