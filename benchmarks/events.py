"""What benchmarks measure on: an embedded PostgreSQL with a table of events, and a project on a temporary home.

Twelve columns of the types that production tables have, a row of about 270 bytes, a year of days.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg

from pipelines.settings import Settings, load_settings
from pipelines.shop.server import open_shop_server

FIRST_DAY, DAYS = date(2025, 1, 1), 365
TODAY = date(2026, 1, 1)
FILL = """
create table events (
    event_id bigint primary key, customer_id int not null, session_id uuid not null, kind text not null, page text, country char(2),
    amount numeric(12, 2), is_paid boolean not null, score double precision, properties jsonb,
    occurred_at timestamptz not null, updated_at timestamptz not null
);
insert into events
select i, i % 50000, md5(i::text)::uuid, (array['view', 'cart', 'search', 'purchase'])[1 + i % 4], '/products/' || i % 9999,
    (array['DE', 'FR', 'US', 'IN'])[1 + i % 4], (i % 100000) / 7.0, i % 3 = 0, sqrt(i),
    jsonb_build_object('n', i, 'list', array[i % 10, i % 7]), moment, moment
from (
    select i, timestamptz '2025-01-01' + i * (interval '365 days' / {rows}) as moment from generate_series(0, {rows} - 1) i
) numbered;
create index on events (occurred_at);
create index on events (updated_at);
analyze events;
"""
CATALOG = """
source: shop
url_env: SHOP_DATABASE_URL
schema: public
tables:
  - {entry}
"""
ENTRIES = {
    "incremental": "{name: events, mode: incremental, key: [event_id], cursor: updated_at}",
    "partitioned": "{name: events, mode: partitioned, key: [event_id], partition: {column: occurred_at, by: day, start: 2025-01-01}}",
}


@dataclass(frozen=True)
class Ground:
    """A source with the table, and a project that reads it."""

    url: str
    home: Path
    mode: str

    def settings(self, **variables: str) -> Settings:
        """Return the project's settings."""
        return load_settings(self.environment(**variables))

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the variables of a process that works on the project."""
        ours = {"DAYBREAK_HOME": str(self.home), "DAYBREAK_CATALOG": str(self.home / "catalog"), "DAYBREAK_TODAY": TODAY.isoformat()}
        return {**ours, "SHOP_DATABASE_URL": self.url, **variables}

    def run(self, sql: str) -> None:
        """Run statements on the source."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[arg-type]

    def extract(self) -> int:
        """Read the whole table as `COPY … BINARY`, throwing it away: the least that any reader can ask of a source. Returns bytes."""
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor, cursor.copy("copy events to stdout binary") as copy:
            return sum(len(data) for data in copy)


@contextmanager
def open_ground(rows: int, mode: str) -> Iterator[Ground]:
    """Yield a source with ``rows`` events, in a project that has nothing of them yet."""
    with tempfile.TemporaryDirectory(prefix="daybreak-benchmark-") as folder:
        home = Path(folder) / "home"
        (home / "catalog").mkdir(parents=True)
        (home / "catalog" / "shop.yaml").write_text(CATALOG.format(entry=ENTRIES[mode]))
        with open_shop_server(Path(folder) / "postgres") as url:
            ground = Ground(url, home, mode)
            ground.run(FILL.format(rows=rows))
            yield ground


def measure(work: Callable[[], object]) -> float:
    """Return how many seconds ``work`` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
