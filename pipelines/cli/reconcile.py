"""`daybreak reconcile` on the command line: a thin face over ``pipelines.reconcile``."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.sync.sides import ParityResult

SHOWN_KEYS = 20  # of a table; --json has all of them


def reconcile(  # noqa: PLR0913, PLR0917 - one per option
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    is_healing: Annotated[
        bool, typer.Option("--heal", help="Read rows that differ again, and delete what is gone where deletes count.")
    ] = False,
    is_full: Annotated[bool, typer.Option("--full", help="Hash every row on the source, whatever was found equal lately.")] = False,
    is_allowed: Annotated[
        bool, typer.Option("--allow-mass-delete", help="With --heal and a TABLE: delete more than `max_deletes`, on the record.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who allows that; the login name if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Prove that the warehouse has what the source has, row by row, and name the keys that differ.

    Ends with 0 if all is equal, and with 3 if a table differs or could not be compared.
    """
    from pipelines.cli.explain import HELD, explaining, name_person
    from pipelines.reconcile import ReconcileRequest, reconcile_tables
    from pipelines.settings import load_settings

    with explaining():
        who = name_person(by) if is_allowed else None
        request = ReconcileRequest(source, table, is_full, is_healing, who)
        results = reconcile_tables(load_settings(), request, None if as_json else _show)
    if as_json:
        typer.echo(json.dumps([_as_plain(result) for result in results], ensure_ascii=False))
    if any(result.outcome != "equal" for result in results):
        raise typer.Exit(HELD)


def _as_plain(result: "ParityResult") -> dict[str, Any]:
    differences = [{"kind": one.kind, "key": list(one.row.key), "rows": one.rows} for one in result.differences]
    return {**result.numbers, "differences": differences}


def _show(result: "ParityResult") -> None:
    from pipelines.state.parity_wording import tell_parity

    style = {"equal": typer.colors.GREEN, "differs": typer.colors.RED, "held": typer.colors.RED}[result.outcome]
    typer.secho(f"{result.table}: {tell_parity(result.numbers)}", fg=style)
    for line in _tell_keys(result):
        typer.echo(line)


def _tell_keys(result: "ParityResult") -> Sequence[str]:
    named = [one for one in result.differences if one.row.key]
    lines = [f"  {one.kind}: {', '.join(one.row.key)}" for one in named[:SHOWN_KEYS]]
    return [*lines, f"  … and {len(named) - SHOWN_KEYS:,} more; --json names all"] if len(named) > SHOWN_KEYS else lines
