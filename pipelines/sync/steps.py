"""The seam at which a test can end the process: every boundary of a sync has a name.

``step("land.chunk")`` wraps one piece of work that is atomic on its own. In production the hook does nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Moment = Literal["before", "after"]
Hook = Callable[[str, Moment], None]


def _do_nothing(_name: str, _moment: Moment) -> None:
    return None


_hook: Hook = _do_nothing


def set_hook(hook: Hook | None) -> None:
    """Call ``hook(name, moment)`` at every boundary from now on, in this process; None removes it."""
    global _hook  # noqa: PLW0603 - one process, one seam
    _hook = hook or _do_nothing


@contextmanager
def step(name: str) -> Iterator[None]:
    """Name a boundary: the hook runs before the block, and after it if it did not raise."""
    _hook(name, "before")
    yield
    _hook(name, "after")
