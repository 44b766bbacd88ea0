"""What a check found: the shape that every check returns, that is printed, and that the exit code is made of."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One row of the examination.

    ``ok`` is as it should be, ``note`` is good to know, ``warning`` may hurt some morning, ``problem`` keeps a sync from being
    made or from being right. ``remedy`` is what to do; empty where there is nothing to do.
    """

    area: str
    subject: str
    state: State
    found: str
    remedy: str = ""
