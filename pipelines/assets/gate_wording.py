"""What a table's gates found, as a person reads it in Dagster: a sentence a verdict, a table of all, and totals to plot.

Not here: judging (``gates``), and whether the check `gate` passed (``table_results``).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

import dagster as dg

from pipelines.delivery.markdown import write_table
from pipelines.delivery.wording import write_count, write_percent
from pipelines.sync.gating import KEY_IS_UNIQUE
from pipelines.sync.model import Verdict

_MOST_TOLD = 3  # sentences of one gate, where a sync judged several loads
_OUTCOMES: Mapping[str, str] = {"quarantine": "set aside", "hold": "holds the load", "warn": "a warning only"}
_SMALLEST_SHARE = Decimal("0.001")


def tell_verdict(verdict: Verdict) -> str:
    """Return a short sentence such as '12 of 1,000 rows failed (1.2%), e.g. 17, 23, 42 — set aside'."""
    numbers = verdict.numbers
    if {"evaluated", "failed"} <= numbers.keys():
        return _tell_rows(verdict)
    told = ", ".join(f"{name} {_write(value)}" for name, value in numbers.items())
    return told if verdict.passed else f"{told} — {_OUTCOMES[verdict.on_failure]}"


def describe_verdicts(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the metadata of the check: a sentence a gate, all of them as a table, and the totals as numbers.

    A sync of several loads has a gate's verdict on each: those that failed are told first, and only a few.
    """
    if not verdicts:
        return {}
    gates = [list(group) for _, group in groupby(sorted(verdicts, key=_place(verdicts)), key=_name)]
    rows = [
        (_name(gate[0]), gate[0].on_failure, "passed" if all(item.passed for item in gate) else "FAILED", _tell_gate(gate))
        for gate in gates
    ]
    return {
        "gates": dg.MetadataValue.md(write_table(("gate", "on failure", "verdict", "found"), rows)),
        "gates_failed": sum(row[2] != "passed" for row in rows),
        "rows_failed": sum(verdict.numbers.get("failed", 0) for verdict in verdicts),
        "rows_set_aside": sum(verdict.numbers.get("quarantined", 0) for verdict in verdicts),
        **{f"{name} ({on_failure})": told for name, on_failure, _, told in rows},
    }


def tell_failures(verdicts: Sequence[Verdict]) -> str | None:
    """Return what failed, a gate a sentence; None if nothing did."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    gates = [list(group) for _, group in groupby(sorted(failed, key=_place(failed)), key=_name)]
    return "; ".join(f"{_name(gate[0])}: {_tell_gate(gate)}" for gate in gates) or None


def tell_remedy(table: str, load_id: str, verdicts: Sequence[Verdict]) -> str:
    """Return what can be done about a load that a gate holds."""
    mend = "Mend the source, and the next run reads it anew"
    if any(verdict.check == KEY_IS_UNIQUE and not verdict.passed for verdict in verdicts):
        return f"{mend}, or correct the key in the catalog; a repeated key cannot be released."
    release = f"if the load is right as it is, let it in with `daybreak release {load_id}`"
    return f"{mend}; or, {release}. Earlier rows that stepped aside: `daybreak quarantine show {table}`."


def _name(verdict: Verdict) -> str:
    return " ".join(verdict.check.split())


def _place(verdicts: Sequence[Verdict]) -> Any:  # noqa: ANN401 - a sort key
    """Sort by gate in the order in which they were judged, and what failed first."""
    places: dict[str, int] = {}
    for verdict in verdicts:
        places.setdefault(_name(verdict), len(places))
    return lambda verdict: (places[_name(verdict)], verdict.passed)


def _tell_gate(verdicts: Sequence[Verdict]) -> str:
    told = list(dict.fromkeys(map(tell_verdict, verdicts)))
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return "; ".join(told[:_MOST_TOLD]) + more


def _tell_rows(verdict: Verdict) -> str:
    evaluated, failed, mostly = (verdict.numbers[name] for name in ("evaluated", "failed", "mostly"))
    if not failed:
        return f"none of {write_count(evaluated)} rows failed" if evaluated else "no rows to judge"
    share = Decimal(failed) / Decimal(evaluated)
    percent = "below 0.1%" if share < _SMALLEST_SHARE else write_percent(share)
    asked = f"; {mostly * 100:.10g}% must pass" if mostly != 1 else ""
    named = f", e.g. {', '.join(_bracket(example) for example in examples)}" if (examples := verdict.numbers.get("examples")) else ""
    outcome = "tolerated" if verdict.passed and verdict.on_failure != "quarantine" else _OUTCOMES[verdict.on_failure]
    return f"{write_count(failed)} of {write_count(evaluated)} rows failed ({percent}{asked}){named} — {outcome}"


def _bracket(key: str) -> str:
    return f"({key})" if ", " in key else key


def _write(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return write_count(value)
    return "none" if value is None else str(value)
