"""Says what a comparison of a table with its source came to, from its numbers as the mirror has them: for terminals and checks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Numbers = Mapping[str, Any]  # of ``ParityResult.numbers``


def tell_parity(numbers: Numbers) -> str:
    """Return one line: the counts of both sides, whether the content is equal and as of when, and all that was left out or done."""
    if numbers["source_as_of"] is None:
        return f"not compared: {numbers['reason']}"
    sign = "=" if numbers["source_rows"] == numbers["warehouse_rows"] else "≠"
    counts = f"{numbers['source_rows']:,} {sign} {numbers['warehouse_rows']:,}"
    parts = [f"{counts}, {_verdict(numbers)} as of {_clock(numbers['source_as_of'])}", *_done(numbers), *_left_out(numbers)]
    if numbers["hashed_buckets"] < numbers["buckets"]:
        told = f"{numbers['hashed_buckets']:,} of {numbers['buckets']:,} ranges read, the others stand since"
        parts.append(f"{told} {datetime.fromisoformat(numbers['oldest_at']):%Y-%m-%d} or later")
    return "; ".join(parts)


def _verdict(numbers: Numbers) -> str:
    kinds = (("missing", "missing"), ("extra", "gone from the source"), ("different", "different"))
    found = [f"{numbers[name]:,} {word}" for name, word in kinds if numbers[name]]
    if not found:
        return "content equal"
    told = ", ".join(found)
    if numbers["unsettled"]:
        told += f" ({numbers['unsettled']:,} may have changed since the last load as of {_clock(numbers['warehouse_as_of'])})"
    return told


def _done(numbers: Numbers) -> list[str]:
    told = []
    if numbers["reread"]:
        told.append(f"{numbers['reread']:,} read again and equal now")
    if numbers["deleted"]:
        told.append(f"{numbers['deleted']:,} deleted" + (f", allowed by {numbers['overruled_by']}" if numbers["overruled_by"] else ""))
    return told + ([f"held: {numbers['reason']}"] if numbers["reason"] else [])


def _left_out(numbers: Numbers) -> list[str]:
    words = (
        ("in_flight", "newer than the last load"),
        ("late", "late, the next load reads them"),
        ("quarantined", "in quarantine"),
        ("kept", "gone from the source and kept (deletes: ignore)"),
        ("marked", "gone from the source and kept with a mark"),
    )
    told = [f"{numbers[name]:,} {word}" for name, word in words if numbers.get(name)]  # an older comparison did not count all
    return told + ([f"without {', '.join(numbers['left_out'])}"] if numbers["left_out"] else [])


def _clock(text: str | None) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC" if text else "never"
