"""History expectations: is a load as large as earlier ones were? Fractions and whole numbers, no float.

Off until there are as many earlier sizes as a window asks for: then it passes, and says how many there are. Pure.
Not here: what a window says (``windows``), which loads can be compared at all (the engine gives only those).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from pipelines.gates.classes import make_config_error, select_expectations
from pipelines.gates.windows import Window, read_windows
from pipelines.sync.protocols import LandedLoad, LoadFinding, LoadSize
from pipelines.sync.spec import Expectation, TableSpec


@dataclass(frozen=True)
class _Compared:
    """One size beside the statistic of those before it."""

    size: LoadSize
    window: Window
    statistic: Fraction

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        return self.window.bounds(self.statistic)

    @property
    def is_inside(self) -> bool:
        fewest, most = self.bounds
        return (fewest is None or self.size.rows >= fewest) and (most is None or self.size.rows <= most)

    @property
    def distance(self) -> tuple[bool, Fraction]:
        """How bad it is: outside is worse than inside, and then the share of the statistic that it differs by."""
        return not self.is_inside, abs(self.size.rows - self.statistic) / max(self.statistic, Fraction(1))


def check_history(spec: TableSpec, load: LandedLoad) -> tuple[LoadFinding, ...]:
    """Evaluate the history expectations of ``spec``; raises ``ConfigError`` with what is wrong with their windows.

    Each size of the load is compared with those before it, and every one that can be compared must be inside: a day with the
    known days before it, also those of the same load; a load with the loads before it. The numbers are those of the size that is
    furthest off, or say how many earlier sizes there are.
    """
    read = [(expectation, *read_windows(expectation.arguments)) for expectation in select_expectations(spec, "history")]
    problems = [f"`{spec.id}`, `{item.label}`: `{name}`: {told}" for item, _, found in read for name, told in found]
    if problems:
        raise make_config_error(spec, problems)
    return tuple(_check(expectation, windows, load) for expectation, windows, _ in read)


def _check(expectation: Expectation, windows: Sequence[Window], load: LandedLoad) -> LoadFinding:
    compared, known = list[_Compared](), 0
    for size, past in _with_past(load):
        for window in windows:
            if len(past) >= window.range:
                compared.append(_Compared(size, window, window.measure(past[-window.range :])))
        known = max(known, len(past))
    if not compared:
        past_name = "past days" if any(size.day for size in load.sizes) else "past loads"
        return LoadFinding(expectation, True, {past_name: f"{known} of {min(window.range for window in windows)}"})
    worst = max(compared, key=lambda one: one.distance)
    return LoadFinding(expectation, worst.is_inside, _make_numbers(worst, compared, load))


def _with_past(load: LandedLoad) -> Iterator[tuple[LoadSize, Sequence[int]]]:
    """Yield each size of the load with the rows of those before it, oldest first."""
    rows_of: dict[date, int] = {size.day: size.rows for size in (*load.past, *load.sizes) if size.day}
    days = sorted(rows_of)
    for size in load.sizes:
        if size.day:
            yield size, [rows_of[day] for day in days[: bisect_left(days, size.day)]]
        else:
            yield size, [past.rows for past in load.past if past.day is None]


def _make_numbers(worst: _Compared, compared: Sequence[_Compared], load: LandedLoad) -> dict[str, Any]:
    fewest, most = worst.bounds
    unit = "days" if worst.size.day else "loads"
    numbers: dict[str, Any] = {"day": worst.size.day.isoformat()} if worst.size.day else {}
    numbers |= {"rows": worst.size.rows}
    numbers |= {"at least": fewest} if fewest is not None else {}
    numbers |= {"at most": most} if most is not None else {}
    numbers |= {f"{worst.window.statistic} of {worst.window.range} past {unit}": _readable(worst.statistic)}
    if len(load.sizes) > 1:
        judged = {one.size for one in compared}
        numbers |= {"days judged": len(judged), "days outside": len({one.size for one in compared if not one.is_inside})}
    return numbers


def _readable(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else round(float(number), 2)
