"""What a dashboard shows: numbers and states, in the words of the project.

Nothing is computed, formatted or drawn here, and importing it costs nothing: whoever reads the mirror and the marts
fills these in, `morning.render_morning` turns them into a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TableHealth:
    """One raw table, as the mirror knows it after this morning's load. Row counts are those of the last load."""

    table: str  # 'shop.orders'
    data_as_of: datetime | None  # UTC, the newest data in the warehouse; None = never loaded
    rows_read: int
    rows_loaded: int
    rows_quarantined: int
    quarantined_open: int  # rows standing in quarantine now, from any load
    checks_passed: int
    checks_failed: int
    held_reason: str | None  # why this morning's load was held; None = it was not

    @property
    def is_held(self) -> bool:
        """Whether readers still see the load before this morning's."""
        return self.held_reason is not None

    @property
    def is_troubled(self) -> bool:
        """Held, never loaded, or with a failed check; rows in quarantine alone are no trouble."""
        return self.is_held or self.data_as_of is None or self.checks_failed > 0


@dataclass(frozen=True)
class ModelHealth:
    """One dbt model and the tests that ran on it in the build that the page shows."""

    model: str
    built_at: datetime | None  # UTC; None = never built
    tests_passed: int
    tests_failed: int
    left_out_reason: str | None  # why this morning's build left it out; None = it was built

    @property
    def is_left_out(self) -> bool:
        """Whether this morning's build skipped it, so that its rows are those of `built_at`."""
        return self.left_out_reason is not None

    @property
    def is_troubled(self) -> bool:
        """Left out, never built, or with a failed test."""
        return self.is_left_out or self.built_at is None or self.tests_failed > 0


@dataclass(frozen=True)
class SourceChange:
    """What changed of a table's schema in the source, as the load that followed it told."""

    table: str  # 'shop.orders'
    followed_at: datetime  # UTC
    told: tuple[str, ...]


@dataclass(frozen=True)
class RestatedDays:
    """Neighbouring days of a table that had been committed, and of which a later load changed rows: figures that were told changed."""

    table: str  # 'shop.events'
    first: date
    last: date
    at: datetime  # UTC: the last such commit
    why: str = ""  # empty: nobody asked for it by a back-fill


@dataclass(frozen=True)
class MorningPage:
    """Everything on the `morning` dashboard. Tables may be empty (even without columns); days may be missing.

    Instants are UTC and are shown in `time_zone`, which is also the zone that the marts cut their days in. A day that
    was not over when the page was published is not shown.
    """

    title: str
    published_at: datetime
    data_as_of: datetime | None
    time_zone: str  # IANA name
    tables: tuple[TableHealth, ...]
    models: tuple[ModelHealth, ...]
    # revenue_date, order_count, gross_revenue, discounts, shipping_revenue, net_revenue, refunds, average_order_value
    daily_revenue: pa.Table
    # event_date, device, sessions, sessions_with_cart, sessions_with_purchase, cart_rate, purchase_rate
    daily_funnel: pa.Table
    orders_by_status: pa.Table  # status, order_count: the last 30 days
    top_countries: pa.Table  # country, revenue
    currency: str  # ISO 4217
    source_changes: tuple[SourceChange, ...] = ()  # newest first
    restated: tuple[RestatedDays, ...] = ()  # of the tables under the page, newest first
