"""`daybreak doctor` on the command line: makes the examination, prints it, and ends with what it means."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from pipelines.doctor.finding import Finding

WIDE = 120  # from here on what was found and its remedy stand side by side
STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


def doctor(
    source: Annotated[str | None, typer.Argument(help="Only this source; all else is examined too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Examine source, warehouse, landing, mirror, dbt and Dagster at once, each problem with its remedy. Changes nothing."""
    from pipelines.cli.explain import MISCONFIGURED, explaining
    from pipelines.cli.output import spinning
    from pipelines.doctor.examine import count_states, examine

    with explaining(), spinning("Examining"):
        findings = examine(os.environ, source)
    counts = count_states(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show(findings, counts)
    if counts["problem"]:
        raise typer.Exit(MISCONFIGURED)


def _show(findings: Sequence["Finding"], counts: dict[str, int]) -> None:
    from rich.console import Console

    from pipelines.cli.output import PIPE_WIDTH

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=PIPE_WIDTH)
    console.print(_make_table(_together(findings), is_wide=console.width >= WIDE))
    told = [
        f"{count} {state}{'s' if count != 1 and state != 'ok' else ''}" for state, count in counts.items() if count or state == "problem"
    ]
    console.print(f"\n{', '.join(told)}.", style=STYLES["problem" if counts["problem"] else "ok"], highlight=False)


def _together(findings: Sequence["Finding"]) -> list["Finding"]:
    """Return one finding for several that differ by their subject only."""
    from dataclasses import replace

    merged: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        same = (finding.area, finding.state, finding.found, finding.remedy)
        known = merged.get(same)
        merged[same] = replace(known, subject=f"{known.subject}, {finding.subject}") if known else finding
    return list(merged.values())


def _make_table(findings: Sequence["Finding"], *, is_wide: bool) -> "Table":
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("area", "subject", "state", "found", "remedy") if is_wide else ("subject", "state", "found"):
        table.add_column(name, overflow="fold", no_wrap=name in ("area", "state"), max_width=24 if name == "subject" else None)
    area = ""
    for finding in findings:
        is_new, area = finding.area != area, finding.area
        state = Text(finding.state, style=STYLES[finding.state])
        if is_wide:
            table.add_row(
                Text(area if is_new else "", style="bold"), Text(finding.subject), state, Text(finding.found), Text(finding.remedy)
            )
            continue
        if is_new:
            table.add_row(Text(area, style="bold"), "", "")
        remedy = f"\n→ {finding.remedy}" if finding.remedy else ""
        table.add_row(Padding(Text(finding.subject), (0, 0, 0, 2)), state, Text.assemble(finding.found, (remedy, "italic")))
    return table
