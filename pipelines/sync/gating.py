"""Gate: which landed rows step aside, what the checks say of the load, and whether it may become visible at all.

What the engine itself always checks: a value that no type can hold, a NULL in the key, the key's uniqueness, and how many
rows stepped aside. Everything else is the table's expectations, judged by the Gate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pipelines.landing import scan
from pipelines.landing.store import LoadFolder
from pipelines.sync.land import null_key_positions, quarantined_rows, unfit_positions
from pipelines.sync.model import Chunk, StagedFile, Verdict
from pipelines.sync.protocols import UNFIT_COLUMN, Gate, LandedLoad, LoadSize, RowFinding
from pipelines.sync.quarantined import NULL_KEY
from pipelines.sync.schema import named_columns
from pipelines.sync.spec import TableSpec

# Below this many rows a share says little: three bad rows of twenty are a bad day, not a broken source.
ALWAYS_TOLERATED = 10
KEY_IS_UNIQUE = "key_is_unique"
MISFIT = "value does not fit the warehouse's type"


@dataclass(frozen=True)
class GateRequest:
    """What is judged, and by what. ``sizes`` and ``past`` are those of ``LandedLoad``.

    ``is_released``: a person lets the load in as it is, so every row that must step aside does, however many.
    """

    spec: TableSpec
    folder: LoadFolder
    gate: Gate
    time_zone: str
    find_misfits: Callable[[pa.Table], Mapping[int, str]]  # see ``Warehouse.find_misfits``
    sizes: Sequence[LoadSize] = ()
    past: Sequence[LoadSize] = ()
    is_released: bool = False


@dataclass
class GatedLoad:
    """What the gate made of a load. ``held_reason`` is None if it may become visible.

    The rows that stepped aside are in files beside the chunks, so that no number of them needs memory.
    """

    files: list[StagedFile] = field(default_factory=list)
    aside: int = 0
    verdicts: tuple[Verdict, ...] = ()
    held_reason: str | None = None


def gate_load(request: GateRequest) -> GatedLoad:
    """Judge every chunk, then the load. Raises ``ConfigError`` for an expectation that cannot be evaluated.

    A load that is released "as it is" still has its bad rows step aside: the table's promise is that every row in it passed its
    `quarantine` gates, and letting a load in does not mend a row. What a person overrules is a judgement on the load as a
    whole: how many rows stepped aside, and every `hold` gate.
    """
    spec, folder = request.spec, request.folder
    gated, findings = GatedLoad(), list[RowFinding]()
    window = folder.plan.window
    if window.columns:  # what else the row has was judged when it was loaded
        asked = tuple(one for one in spec.expectations if named_columns(one) & set(window.columns))
        spec = replace(spec, expectations=asked)
        request = replace(request, spec=spec)
    # Rows that are read again one by one are mostly bad, or they would not be: a share of them says nothing.
    budget = folder.rows if window.keys or request.is_released else most_aside(spec, folder.rows)
    for chunk in folder.chunks:
        findings += _gate_chunk(request, chunk, gated, budget)
    own = _own_verdicts(spec, folder, gated, budget)
    landed = LandedLoad(folder.files, folder.rows, request.sizes, request.past)
    load_findings = None if window.keys or window.columns else request.gate.check_load(spec, landed)
    gated.verdicts = (*own, *request.gate.judge(spec, findings, load_findings))
    failed = [verdict for verdict in gated.verdicts if verdict.on_failure == "hold" and not verdict.passed]
    # No person can let a repeated key in: the table would have one of its rows, and nobody could say which.
    stopping = [verdict for verdict in failed if verdict.check == KEY_IS_UNIQUE] if request.is_released else failed
    if stopping:
        gated.held_reason = f"gate {'; '.join(map(_tell, stopping))}"
    return gated


def most_aside(spec: TableSpec, rows: int) -> int:
    """Return how many of a load's rows may step aside: the table's count, or its share of the rows but never less than a few.

    Without a key no older version of a row stays in the table, so there the few are half of the load at most: it is never emptied.
    """
    if isinstance(spec.max_quarantined, int) or spec.max_quarantined == 0:
        return int(spec.max_quarantined)
    few = ALWAYS_TOLERATED if spec.key else min(ALWAYS_TOLERATED, rows // 2)
    return max(few, int(spec.max_quarantined * rows))


def _tell(verdict: Verdict) -> str:
    return f"{verdict.check} ({', '.join(f'{name} {value}' for name, value in verdict.numbers.items())})"


def find_reasons(spec: TableSpec, rows: pa.Table, findings: Sequence[RowFinding]) -> dict[int, tuple[str, str]]:
    """Return the positions of the rows that must step aside, each with the column and the reason that counts first."""
    reasons: dict[int, tuple[str, str]] = dict.fromkeys(unfit_positions(rows), (UNFIT_COLUMN, "value does not fit any warehouse type"))
    if spec.key:
        reasons |= dict.fromkeys(null_key_positions(spec, rows), (spec.key[0], NULL_KEY))
    for finding in findings:
        if finding.expectation.on_failure == "quarantine":
            column = str(finding.expectation.arguments.get("column", ""))
            reasons |= {position: (column, finding.expectation.label) for position in finding.failing if position not in reasons}
    return reasons


def _gate_chunk(request: GateRequest, chunk: Chunk, gated: GatedLoad, budget: int) -> Sequence[RowFinding]:
    spec, folder = request.spec, request.folder
    rows = folder.read_chunk(chunk)
    findings = request.gate.check_rows(spec, rows)
    misfits = {position: (column, MISFIT) for position, column in request.find_misfits(rows).items()}
    reasons = misfits | find_reasons(spec, rows, findings)
    gated.aside += len(reasons)
    path = None
    if reasons and gated.aside <= budget:
        path = str(folder.write_aside(chunk, quarantined_rows(spec, rows, reasons, request.time_zone)))
    gated.files.append(StagedFile(str(folder.path / chunk.file_name), chunk.rows, path, len(reasons)))
    return [replace(finding, failing=()) for finding in findings]  # where they stand is in the file now


def _own_verdicts(spec: TableSpec, folder: LoadFolder, gated: GatedLoad, budget: int) -> list[Verdict]:
    numbers: dict[str, Any] = {"quarantined": gated.aside, "rows": folder.rows, "at most": budget}
    verdicts = [Verdict(spec.id, "max_quarantined", gated.aside <= budget, "hold", numbers)]
    if spec.key and folder.plan.is_stream:
        count, examples = scan.repeated_keys(folder.files, spec.key)
        numbers = {"repeated keys": count, **({"for example": ", ".join(examples)} if examples else {})}
        verdicts.append(Verdict(spec.id, KEY_IS_UNIQUE, count == 0, "hold", numbers))
    return verdicts
