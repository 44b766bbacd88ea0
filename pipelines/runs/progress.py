"""Who is told while a run goes on: whoever asked in this process. In a process that nobody watches, telling costs nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Happening:
    """Something that a person who waits wants to see. ``rows`` is how many rows were handled so far, None if not counted."""

    subject: str
    phase: str
    rows: int | None = None
    is_over: bool = False


Listener = Callable[[Happening], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` for whatever is told in this process during the block, from any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(happening: Happening) -> None:
    """Tell whoever listens."""
    for listener in _listeners:
        listener(happening)
