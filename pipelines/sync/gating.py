"""Gate: which landed rows step aside, what the checks say of the load, and whether it may become visible at all.

What the engine itself always checks: a value that no type can hold, a NULL in the key, the key's uniqueness, and how many
rows stepped aside. Everything else is the table's expectations, judged by the Gate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.landing import scan
from pipelines.landing.store import LoadFolder
from pipelines.sync.land import null_key_positions, quarantined_rows, unfit_positions
from pipelines.sync.model import NULL_KEY, Chunk, QuarantinedRow, StagedFile, Verdict
from pipelines.sync.protocols import UNFIT_COLUMN, Gate, RowFinding
from pipelines.sync.spec import TableSpec

# Below this many rows a share says little: three bad rows of twenty are a bad day, not a broken source.
ALWAYS_TOLERATED = 10


@dataclass
class GatedLoad:
    """What the gate made of a load. ``held_reason`` is None if it may become visible."""

    files: list[StagedFile] = field(default_factory=list)
    quarantined: list[QuarantinedRow] = field(default_factory=list)
    verdicts: tuple[Verdict, ...] = ()
    held_reason: str | None = None


def gate_load(spec: TableSpec, folder: LoadFolder, gate: Gate, time_zone: str) -> GatedLoad:
    """Judge every chunk, then the load. Raises ``ConfigError`` for an expectation that cannot be evaluated."""
    gated, findings = GatedLoad(), list[RowFinding]()
    budget = max(ALWAYS_TOLERATED, int(spec.max_quarantined * folder.rows))
    for chunk in folder.chunks:
        findings += _gate_chunk(spec, folder, chunk, gate, time_zone, gated, budget)
    own = _own_verdicts(spec, folder, gated, budget)
    load_findings = gate.check_load(spec, folder.files, folder.rows)
    gated.verdicts = (*own, *gate.judge(spec, findings, load_findings))
    failed = [verdict for verdict in gated.verdicts if verdict.on_failure == "hold" and not verdict.passed]
    if failed:
        gated.held_reason = f"gate {'; '.join(map(_tell, failed))}"
    return gated


def _tell(verdict: Verdict) -> str:
    return f"{verdict.check} ({', '.join(f'{name} {value}' for name, value in verdict.numbers.items())})"


def _gate_chunk(  # noqa: PLR0913, PLR0917 - one chunk's whole context
    spec: TableSpec, folder: LoadFolder, chunk: Chunk, gate: Gate, time_zone: str, gated: GatedLoad, budget: int
) -> Sequence[RowFinding]:
    rows = folder.read_chunk(chunk)
    reasons = dict.fromkeys(unfit_positions(rows), (UNFIT_COLUMN, "value does not fit any warehouse type"))
    if spec.key:
        reasons |= dict.fromkeys(null_key_positions(spec, rows), (spec.key[0], NULL_KEY))
    findings = gate.check_rows(spec, rows)
    for finding in findings:
        if finding.expectation.on_failure == "quarantine":
            column = str(finding.expectation.arguments.get("column", ""))
            reasons |= {position: (column, finding.expectation.label) for position in finding.failing if position not in reasons}
    gated.files.append(StagedFile(str(folder.path / chunk.file_name), chunk.rows, tuple(sorted(reasons))))
    if reasons and len(gated.quarantined) + len(reasons) <= budget:
        gated.quarantined += quarantined_rows(spec, rows, reasons, time_zone)
    return findings


def _own_verdicts(spec: TableSpec, folder: LoadFolder, gated: GatedLoad, budget: int) -> list[Verdict]:
    aside = sum(len(file.excluded) for file in gated.files)
    numbers: dict[str, Any] = {"quarantined": aside, "rows": folder.rows, "at most": budget}
    verdicts = [Verdict(spec.id, "max_quarantined", aside <= budget, "hold", numbers)]
    if spec.key and folder.plan.is_stream:
        count, examples = scan.repeated_keys(folder.files, spec.key)
        numbers = {"repeated keys": count, **({"for example": ", ".join(examples)} if examples else {})}
        verdicts.append(Verdict(spec.id, "key_is_unique", count == 0, "hold", numbers))
    return verdicts
