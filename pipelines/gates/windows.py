"""Windows: bounds that are not written down but follow from earlier loads, in GX's own words (``windows:``).

GX's package only describes a window (1.24): neither the past nor the statistic is in it, those are GX Cloud's. Here a bound is
statistic x (1 - negative) and statistic x (1 + positive), in fractions, over the last ``range`` sizes; ``strict`` takes the bound
itself out of it, as GX's own agent uses it beside ``strict_min``. GX's full form names each bound, and the bound names its window:
``min_value: {$PARAMETER: low}`` with ``parameter_name: low``. In the short form a window without a name gives both bounds.
Not here: which sizes are compared (``history``).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pipelines.gates.bounds import make_bound

STATISTICS = ("mean", "median", "min", "max")
# The engine remembers the last hundred loads of a table, and some of them are no morning's: so many are always there in the end.
MOST_RANGE = 60
_SETTINGS = ("constraint_fn", "parameter_name", "range", "offset", "strict")
_BOUNDS = ("min_value", "max_value")
Problem = tuple[str, str]  # argument, what is wrong with it


@dataclass(frozen=True)
class Window:
    """A lower and an upper bound, each a share of a statistic of the last ``range`` sizes; None = not bounded on that side."""

    statistic: str
    range: int
    low: Fraction | None
    high: Fraction | None
    is_low_strict: bool
    is_high_strict: bool

    def measure(self, sizes: Sequence[int]) -> Fraction:
        """Return the statistic of at least one size, exactly."""
        exact = [Fraction(size) for size in sizes]
        match self.statistic:
            case "mean":
                return statistics.mean(exact)
            case "median":
                return statistics.median(exact)
            case "min":
                return min(exact)
            case _:
                return max(exact)

    def bounds(self, statistic: Fraction) -> tuple[int | None, int | None]:
        """Return the fewest and the most rows that pass: the nearest whole numbers inside the bounds."""
        low = None if self.low is None else statistic * self.low
        high = None if self.high is None else statistic * self.high
        fewest = None if low is None else math.floor(low) + 1 if self.is_low_strict else math.ceil(low)
        most = None if high is None else math.ceil(high) - 1 if self.is_high_strict else math.floor(high)
        return fewest, most


def read_windows(arguments: Mapping[str, Any]) -> tuple[tuple[Window, ...], list[Problem]]:
    """Return the windows of an expectation that has ``windows``, and what is wrong with them or with the bounds beside them."""
    entries = arguments["windows"]
    if not isinstance(entries, list | tuple) or not entries:
        return (), [("windows", f"{entries!r} is not a list of windows")]
    problems = _bound_problems(arguments, entries)
    windows = []
    for number, entry in enumerate(entries, start=1):
        told = _entry_problems(entry)
        if not told:
            windows.append(_make_window(arguments, entry))
            told = _side_problems(arguments, entry, windows[-1])
        problems += [("windows", f"window {number}: {problem}") for problem in told]
    return tuple(windows), problems


def _bound_problems(arguments: Mapping[str, Any], entries: Sequence[Any]) -> list[Problem]:
    names = [entry["parameter_name"] for entry in entries if isinstance(entry, Mapping) and "parameter_name" in entry]
    problems = []
    for bound in _BOUNDS:
        value = arguments.get(bound)
        if value is not None and _parameter(value) is None:
            remedy = "write {$PARAMETER: the window's parameter_name}, or give the fixed bound an expectation of its own"
            problems.append((bound, f"{value!r} stands beside `windows`: {remedy}"))
        elif value is not None and _parameter(value) not in names:
            problems.append((bound, f"no window has the parameter_name {_parameter(value)!r}"))
    if any(name in names[:place] for place, name in enumerate(names)):
        problems.append(("windows", "two windows have one parameter_name"))
    return problems


def _parameter(value: object) -> str | None:
    name = value.get("$PARAMETER") if isinstance(value, Mapping) and len(value) == 1 else None
    return name if isinstance(name, str) else None


def _entry_problems(entry: object) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"{entry!r} is not a mapping of {', '.join(_SETTINGS)}"]
    problems = [f"has no setting `{name}`, only {', '.join(_SETTINGS)}" for name in entry if name not in _SETTINGS]
    constraint, count = entry.get("constraint_fn"), entry.get("range")
    if constraint not in STATISTICS:
        why = " (GX Cloud's own model)" if constraint == "forecast" else ""
        problems.append(f"`constraint_fn` {constraint!r}{why} is not one of {', '.join(STATISTICS)}")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_RANGE:
        problems.append(f"`range` {count!r} is not a whole number of earlier loads from 1 to {MOST_RANGE}")
    if not isinstance(entry.get("strict", False), bool):
        problems.append(f"`strict` {entry['strict']!r} is neither true nor false")
    if not isinstance(entry.get("parameter_name", ""), str):
        problems.append(f"`parameter_name` {entry['parameter_name']!r} is no text")
    return problems + _offset_problems(entry.get("offset"))


def _offset_problems(offset: object) -> list[str]:
    if not isinstance(offset, Mapping) or not offset or not set(offset) <= {"negative", "positive"}:
        return [f"`offset` {offset!r} is not {{negative: a share, positive: a share}}; one of the two may be left out"]
    problems = []
    for name, kind in (("negative", "share"), ("positive", "number")):
        try:
            if name in offset and make_bound(offset[name], "share" if kind == "share" else "number", None) < 0:  # type: ignore[operator]
                problems.append(f"`offset.{name}` {offset[name]!r} is below 0")
        except ValueError as problem:
            problems.append(f"`offset.{name}`: {problem}")
    return problems


def _gives(arguments: Mapping[str, Any], entry: Mapping[str, Any], bound: str) -> bool:
    """Whether a window gives this bound: the bound names it, or the window has no name to be called by and nothing else is written."""
    name = entry.get("parameter_name")
    if name is None or not any(argument in arguments for argument in _BOUNDS):
        return bound not in arguments
    return isinstance(name, str) and _parameter(arguments.get(bound)) == name


def _make_window(arguments: Mapping[str, Any], entry: Mapping[str, Any]) -> Window:
    offset, is_strict = entry["offset"], entry.get("strict", False)
    gives_low, gives_high = (_gives(arguments, entry, bound) for bound in _BOUNDS)
    return Window(
        entry["constraint_fn"],
        entry["range"],
        1 - Fraction(str(offset["negative"])) if gives_low and "negative" in offset else None,
        1 + Fraction(str(offset["positive"])) if gives_high and "positive" in offset else None,
        is_strict or arguments.get("strict_min") is True,
        is_strict or arguments.get("strict_max") is True,
    )


def _side_problems(arguments: Mapping[str, Any], entry: Mapping[str, Any], window: Window) -> list[str]:
    problems = []
    for bound, offset in zip(_BOUNDS, ("negative", "positive"), strict=True):
        if arguments.get(bound) is not None and _gives(arguments, entry, bound) and offset not in entry["offset"]:
            problems.append(f"`{bound}` names it, so it needs `offset.{offset}`")
    if not problems and window.low is None and window.high is None:
        problems.append("bounds nothing: no bound names it, or its `offset` has no share for the bound")
    return problems
