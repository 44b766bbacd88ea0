"""The data-health part of a page: one row per table and model, those in trouble first, and the totals above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.delivery.page import ModelHealth, MorningPage, RestatedDays, TableHealth
from pipelines.delivery.wording import write_count, write_instant, write_quantity, write_short_instant, write_span


@dataclass(frozen=True)
class HealthRow:
    """A table or a model in its list; `cells` are text, `reason` is empty unless it was held or left out."""

    name: str
    state: str  # good | warn | bad
    word: str
    cells: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Total:
    """A number above the lists, as text, with the part of it that is in trouble as `detail`."""

    label: str
    value: str
    detail: str
    state: str = ""  # of the detail: good | warn | bad


def describe_tables(page: MorningPage) -> list[HealthRow]:
    """Cells: data as of, rows read, loaded, quarantined, standing in quarantine, checks passed. Troubled tables come first."""
    troubled_first = sorted(page.tables, key=lambda table: not table.is_troubled)
    return [_describe_table(table, page.time_zone) for table in troubled_first]


def describe_models(page: MorningPage) -> list[HealthRow]:
    """Cells: built at, tests passed. Troubled models come first."""
    troubled_first = sorted(page.models, key=lambda model: not model.is_troubled)
    return [_describe_model(model, page.time_zone) for model in troubled_first]


def list_notices(page: MorningPage) -> list[tuple[str, str]]:
    """Who is in trouble and why, in words, for the notice on top."""
    tables = [(table.table, _table_trouble(table)) for table in page.tables if table.is_troubled]
    models = [(model.model, _model_trouble(model)) for model in page.models if model.is_troubled]
    return tables + models


def write_notice_title(page: MorningPage) -> str:
    """Say how many are held, left out or failed; only for a page that `list_notices` finds trouble on."""
    held = sum(table.is_held for table in page.tables)
    left_out = sum(model.is_left_out for model in page.models)
    others = len(list_notices(page)) - held - left_out
    said = [
        f"{write_quantity(held, 'table')} held" if held else "",
        f"{write_quantity(left_out, 'model')} left out" if left_out else "",
        f"{write_count(others)} with failed checks or no data" if others else "",
    ]
    return f"This morning: {', '.join(part for part in said if part)}"


def write_verdict(page: MorningPage) -> tuple[str, str]:
    """One state for the head of the page, and the words for it."""
    troubled = len(list_notices(page))
    if troubled:
        return "bad", f"{troubled} {'needs' if troubled == 1 else 'need'} attention"
    return ("good", "All passed") if page.tables or page.models else ("", "Nothing was checked")


def describe_source_changes(page: MorningPage) -> list[tuple[str, str, str]]:
    """When, of which table, and what: the release notes of the source's schema, newest first."""
    told = [(change, what) for change in page.source_changes for what in change.told]
    return [(write_short_instant(change.followed_at, page.time_zone), change.table, what) for change, what in told]


def describe_restated(restated: Sequence[RestatedDays], time_zone: str) -> list[tuple[str, str, str, str]]:
    """Table, days, when and why, of days that were loaded before and changed again."""
    return [
        (
            one.table,
            write_span(one.first, one.last),
            write_short_instant(one.at, time_zone),
            one.why or "no back-fill: rows that came late, or were read again",
        )
        for one in restated
    ]


def sum_up(page: MorningPage) -> list[Total]:
    """Seven totals, in the order of the page; rows are those of each table's last load."""
    tables, models = page.tables, page.models
    standing = sum(table.quarantined_open for table in tables)
    return [
        _total("Tables", len(tables), sum(table.is_held for table in tables), "held"),
        Total("Rows read", write_count(sum(table.rows_read for table in tables)), "in the last loads"),
        Total("Rows loaded", write_count(sum(table.rows_loaded for table in tables)), "in the last loads"),
        Total(
            "Rows quarantined",
            write_count(sum(table.rows_quarantined for table in tables)),
            f"{write_count(standing)} in quarantine now",
            "warn" if standing else "",
        ),
        _total(
            "Checks passed",
            sum(table.checks_passed for table in tables),
            sum(table.checks_failed for table in tables),
            "failed",
        ),
        _total("Models", len(models), sum(model.is_left_out for model in models), "left out"),
        _total(
            "Tests passed",
            sum(model.tests_passed for model in models),
            sum(model.tests_failed for model in models),
            "failed",
        ),
    ]


def _total(label: str, count: int, troubled: int, word: str) -> Total:
    return Total(label, write_count(count), f"{write_count(troubled)} {word}", "bad" if troubled else "")


def write_data_as_of(page: MorningPage) -> str:
    """'Mon 2 Nov 2026, 06:04 CET', or 'no data yet' before the first load."""
    return "no data yet" if page.data_as_of is None else write_instant(page.data_as_of, page.time_zone)


def _describe_table(table: TableHealth, time_zone: str) -> HealthRow:
    return HealthRow(
        name=table.table,
        state="bad" if table.is_troubled else "warn" if table.quarantined_open else "good",
        word=_table_word(table),
        cells=(
            write_short_instant(table.data_as_of, time_zone),
            write_count(table.rows_read),
            write_count(table.rows_loaded),
            write_count(table.rows_quarantined),
            write_count(table.quarantined_open),
            _write_ratio(table.checks_passed, table.checks_failed),
        ),
        reason=table.held_reason or "",
    )


def _table_word(table: TableHealth) -> str:
    if table.is_held:
        return "held"
    if table.data_as_of is None:
        return "never loaded"
    if table.checks_failed:
        return "check failed"
    return "quarantine" if table.quarantined_open else "good"


def _describe_model(model: ModelHealth, time_zone: str) -> HealthRow:
    word = "left out" if model.is_left_out else "never built" if model.built_at is None else "test failed"
    return HealthRow(
        name=model.model,
        state="bad" if model.is_troubled else "good",
        word=word if model.is_troubled else "good",
        cells=(
            write_short_instant(model.built_at, time_zone),
            _write_ratio(model.tests_passed, model.tests_failed),
        ),
        reason=model.left_out_reason or "",
    )


def _table_trouble(table: TableHealth) -> str:
    if table.held_reason is not None:
        return f"held: {table.held_reason}"
    if table.data_as_of is None:
        return "was never loaded"
    return f"has {write_quantity(table.checks_failed, 'failed check')}"


def _model_trouble(model: ModelHealth) -> str:
    if model.left_out_reason is not None:
        return f"left out: {model.left_out_reason}"
    if model.built_at is None:
        return "was never built"
    return f"has {write_quantity(model.tests_failed, 'failed test')}"


def _write_ratio(passed: int, failed: int) -> str:
    """'12' when all passed, '11 of 12' when not: the failure is what must be seen."""
    if not passed and not failed:
        return "none"
    return write_count(passed) if not failed else f"{write_count(passed)} of {write_count(passed + failed)}"
