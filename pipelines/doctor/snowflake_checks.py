"""A Snowflake warehouse: who signs in, as what, and whether that may make what Daybreak makes. It is asked, and nothing is made."""

from collections.abc import Iterator

from pipelines.doctor.finding import Finding
from pipelines.errors import DaybreakError, PrerequisiteError
from pipelines.settings import Settings

AREA = "warehouse"
SET_UP = "Run deploy/snowflake/setup.sql, or grant it as docs/snowflake.md says."


def check_snowflake(settings: Settings) -> list[Finding]:
    """Sign in and look around. Raises ``ConfigError`` for a URL that cannot be one."""
    from pipelines.warehouses.snowflake_access import open_sessions

    sessions = open_sessions(settings.warehouse_url)
    try:
        with sessions.open("examine it") as run:
            columns = "current_version(), current_user(), current_role(), current_database(), current_warehouse()"
            ((version, user, role, database, warehouse),) = run(f"select {columns}")
            told = f"{sessions.account.told}, Snowflake {version}, {user} as {role or 'no role'}"
            findings = [Finding(AREA, "sign-in", "ok", told)]
            findings += _missing(settings, database, warehouse)
            if database:
                schemas = {row["name"] for row in run.records(f"show schemas in database {run.dialect.quote(database)}")}
                known = "daybreak is there" if "DAYBREAK" in schemas else "nothing was ever loaded into it by this project"
                findings.append(Finding(AREA, "schemas", "ok" if "DAYBREAK" in schemas else "note", known))
            return findings
    except DaybreakError as error:
        subject = "sign-in" if isinstance(error, PrerequisiteError) else "answer"
        return [Finding(AREA, subject, "problem", "; ".join(getattr(error, "problems", (error.what,))), error.remedy)]


def _missing(settings: Settings, database: str | None, warehouse: str | None) -> Iterator[Finding]:
    if not database:
        yield Finding(AREA, "database", "problem", "the database of the URL is not there, or the role may not use it", SET_UP)
    if not warehouse:
        yield Finding(AREA, "warehouse", "problem", "the warehouse of the URL is not there, or the role may not use it", SET_UP)
    if settings.parallel_tables > 8:
        remedy = "Lower DAYBREAK_PARALLEL_TABLES, or let the warehouse have more clusters."
        yield Finding(
            AREA, "parallel loads", "note", f"{settings.parallel_tables} at once; a warehouse runs 8 statements by default", remedy
        )
