"""`daybreak shop` on the command line: a simulated shop with its own PostgreSQL."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.explain import AsJson, explaining
from pipelines.errors import ConfigError
from pipelines.settings import Settings, load_settings, write_env_file

shop_app = typer.Typer(no_args_is_help=True, help="A simulated shop with its own PostgreSQL, to try everything on.")


def _shop_folder(settings: Settings) -> Path:
    return settings.home / "shop" / "postgres"


def _load_opened() -> Settings:
    settings = load_settings()
    if "DAYBREAK_TODAY" not in settings.environment:
        remedy = "Start it with `daybreak shop start`."
        raise ConfigError([f"There is no shop in {settings.home} yet."], safe="Nothing was changed.", remedy=remedy)
    return settings


@shop_app.command("start")
def shop_start(
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 7,
    days: Annotated[int, typer.Option(help="Days of history.", min=1)] = 90,
) -> None:
    """Start the shop's PostgreSQL, with 90 days of history the first time, and point SHOP_DATABASE_URL at it."""
    if os.environ.get("SHOP_DATABASE_URL"):
        typer.echo("SHOP_DATABASE_URL is set, so that database is used and no shop is started.")
        return
    from pipelines.cli.output import spinning
    from pipelines.shop.server import start_shop_server
    from pipelines.shop.simulator import create_shop

    with explaining():
        settings = load_settings()
        if not any(source.url_env == "SHOP_DATABASE_URL" for source in settings.sources()):
            typer.echo(f"No source of {settings.catalog_folder} is read from SHOP_DATABASE_URL, so no shop is started.")
            return
        with spinning("Starting the shop's PostgreSQL"):
            url = start_shop_server(_shop_folder(settings))
        write_env_file(settings.home, {"SHOP_DATABASE_URL": url})
        if "DAYBREAK_TODAY" in settings.environment:
            typer.echo(f"The shop is open; it is {settings.local_today()} there.")
            return
        with spinning(f"Simulating {days} days of a shop"):
            made = create_shop(url, seed=seed, today=settings.local_today(), days=days)
    write_env_file(settings.home, {"DAYBREAK_TODAY": str(made.today)})
    typer.echo(f"The shop is open: {sum(made.inserted.values()):,} rows from {made.first_day} on; it is {made.today} there.")


@shop_app.command("advance")
def shop_advance(
    days: Annotated[int, typer.Option(help="How many days pass.", min=1)] = 1,
    bad_rows: Annotated[bool, typer.Option("--bad-rows", help="Also write what an application should not.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let days pass in the shop: inserts, updates, deletes and late events. The project's today moves along."""
    from pipelines.cli.output import show_shop_day, spinning
    from pipelines.shop.server import start_shop_server
    from pipelines.shop.simulator import advance_shop

    with explaining():
        settings = _load_opened()
    with explaining(), spinning(f"{days} day{'s' if days > 1 else ''} pass in the shop"):
        url = start_shop_server(_shop_folder(settings))
        done = advance_shop(url, days=days, bad_rows=bad_rows)
    write_env_file(settings.home, {"SHOP_DATABASE_URL": url, "DAYBREAK_TODAY": str(done.today)})
    counts = {name: dict(getattr(done, name)) for name in ("inserted", "updated", "deleted", "bad_rows")}
    if as_json:
        typer.echo(json.dumps({"today": str(done.today), **counts}))
    else:
        show_shop_day(str(done.today), counts)


@shop_app.command("migrate")
def shop_migrate(
    count: Annotated[int | None, typer.Option(help="How many migrations; one where nothing is said.", min=1)] = None,
    all_left: Annotated[bool, typer.Option("--all", help="All that are left.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="Change nothing; list them all, and when each was applied.")] = False,
    as_json: AsJson = False,
) -> None:
    """Apply the next migration of the shop's application: it renames a column, widens a type, adds a table, and the like."""
    from pipelines.cli.output import spinning
    from pipelines.shop.migrations import MIGRATIONS
    from pipelines.shop.server import start_shop_server
    from pipelines.shop.simulator import list_applied, migrate_shop

    if sum((count is not None, all_left, only_list)) > 1:
        raise typer.BadParameter("Give one of --count, --all and --list.")
    with explaining():
        settings = _load_opened()
    with explaining(), spinning("Looking at the shop" if only_list else "The shop's application is migrated"):
        url = start_shop_server(_shop_folder(settings))
        write_env_file(settings.home, {"SHOP_DATABASE_URL": url})
        shown = MIGRATIONS if only_list else migrate_shop(url, count=None if all_left else count or 1)
        applied_at = list_applied(url)
    if as_json:
        rows = [{"name": one.name, "told": one.told, "applied_at": applied_at.get(one.name)} for one in shown]
        typer.echo(json.dumps(rows, default=str))
        return
    for one in shown:
        at = f"{applied_at[one.name]:%Y-%m-%d %H:%M}  " if one.name in applied_at else "not applied yet   "
        typer.echo(f"{at if only_list else ''}{one.name:<21} {one.told}")
    left = sum(one.name not in applied_at for one in MIGRATIONS)
    if not left:
        typer.echo(f"Nothing is left to migrate: all {len(MIGRATIONS)} are applied.")
    elif not only_list:
        typer.echo(f"{left} left. What it means for the next run: daybreak plan")


@shop_app.command("stop")
def shop_stop() -> None:
    """Stop the shop's PostgreSQL; its data stay."""
    from pipelines.shop.server import stop_shop_server

    with explaining():
        settings = load_settings()
    stop_shop_server(_shop_folder(settings))
    typer.echo("The shop is closed.")
