"""`daybreak plan` on the command line: a thin face over ``pipelines.evolution``."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.evolution.impact import Touched
    from pipelines.evolution.plan import TablePlan

WAITING, BREAKING = 3, 4
COUNTED = ("test", "contract")  # there are many; those that break are named
COLORS = {"safe": typer.colors.GREEN, "needs approval": typer.colors.YELLOW, "breaking": typer.colors.RED}


def plan(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a comment on a pull request.")] = False,
) -> None:
    """Show what a migration of the source means: warehouse DDL, rows to read again, models and dashboards touched. Changes nothing.

    Ends with 3 if a change waits for a person, and with 4 if one is breaking, or breaks a test, a contract or a model.
    """
    from pipelines.assets.manifest import load_manifest
    from pipelines.cli.explain import explaining
    from pipelines.cli.output import spinning
    from pipelines.evolution.plan import plan_source, worst
    from pipelines.settings import load_settings

    with explaining():
        settings = load_settings()
        sources = [settings.source(source)] if source else settings.sources()
        with spinning("Comparing"):
            manifest = load_manifest(settings)
            plans = [table for wanted in sources for table in plan_source(settings, wanted, manifest)]
    if as_json:
        typer.echo(json.dumps([asdict(table) for table in plans], default=str, ensure_ascii=False))
    elif as_markdown:
        typer.echo("\n".join(_as_markdown(plans)))
    else:
        _show(plans)
    code = {"needs approval": WAITING, "breaking": BREAKING}.get(worst(plans))
    if code:
        raise typer.Exit(code)


def _show(plans: Sequence["TablePlan"]) -> None:
    from pipelines.evolution.plan import to_tell

    told = to_tell(plans)
    for table in told:
        typer.secho(f"{table.table}: {table.state}", fg=COLORS.get(table.state), bold=True)
        for change in table.changes:
            typer.echo(f"  {change.told}" + (f"  ({change.judgement})" if change.judgement != table.state else ""))
        for statement in table.statements:
            typer.echo(f"  warehouse  {statement}")
        if table.rows_to_read:
            typer.echo(f"  read again {table.rows_to_read:,} rows, for the values of old rows")
        for line in _tell_touched(table.touched):
            typer.echo(f"  {line}")
        if table.problem:
            typer.echo(f"  {table.problem}")
    rest = len(plans) - len(told)
    typer.echo(f"{rest} table{' has' if rest == 1 else 's have'} nothing to do." if rest else "")


def _tell_touched(touched: Sequence["Touched"], quote: str = "") -> list[str]:
    """Return a line for what is touched, one for what may be, and one for each thing that breaks. What holds is only counted."""
    lines = []
    for is_certain, told in ((True, "touches   "), (False, "may touch ")):
        items = [item for item in touched if item.is_certain is is_certain]
        named = [
            f"{item.kind} {quote}{item.name}{quote}{_columns(item)}"
            for item in items
            if item.kind not in COUNTED and (item.mark != "breaking" or not item.reason)
        ]
        for kind in COUNTED:
            count = sum(item.kind == kind and item.mark != "breaking" for item in items)
            named += [f"{count} {kind}{'' if count == 1 else 's'}"] if count else []
        lines += [f"{told} {', '.join(named)}"] if named else []
    breaking = [item for item in touched if item.mark == "breaking" and item.reason]
    return [*lines, *(f"breaks     {item.kind} {quote}{item.name}{quote}: {item.reason}" for item in breaking)]


def _columns(item: "Touched") -> str:
    if item.columns:
        return f" ({', '.join(item.columns)})"
    return " (its rows)" if item.kind in ("model", "snapshot") and item.because and item.is_certain else ""


def _as_markdown(plans: Sequence["TablePlan"]) -> list[str]:
    from pipelines.evolution.plan import to_tell

    told = to_tell(plans)
    if not told:
        return ["The source's schema is what was loaded last: nothing to do."]
    lines = ["| table | change | judged | rows read again | touches |", "|---|---|---|---|---|"]
    for table in told:
        touched = "; ".join(re.sub(r"  +", " ", line).removeprefix("touches ") for line in _tell_touched(table.touched, "`"))
        rows: list[tuple[str, str]] = [(change.told, change.judgement) for change in table.changes]
        rows = rows or [(table.problem or "", table.state)]
        lines += [f"| `{table.table}` | {_cell(what)} | {judged} | {table.rows_to_read:,} | {_cell(touched)} |" for what, judged in rows]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
