"""A PostgreSQL that this project did not start: Debian's 15, over TCP, with a password."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.settings import Settings, load_settings
from pipelines.wiring import SyncRequest, sync_tables
from tests.conftest import TODAY
from tests.debian_server import DebianServer, open_debian_server


@pytest.fixture(scope="module")
def server() -> Iterator[DebianServer]:
    with open_debian_server() as opened:
        yield opened


def make_settings(home: Path, url: str) -> Settings:
    return load_settings({"DAYBREAK_HOME": str(home), "DAYBREAK_TODAY": str(TODAY), "SHOP_DATABASE_URL": url, "DAYBREAK_MASK_KEY": "key"})


def test_the_shop_is_synced_from_it_in_all_modes(server: DebianServer, tmp_path: Path) -> None:
    import duckdb

    from pipelines.shop.simulator import create_shop

    made = create_shop(server.url, today=TODAY, days=4, events_per_day=100)
    settings = make_settings(tmp_path, server.url)
    (source,) = settings.sources()
    results = sync_tables(settings, SyncRequest(source, source.tables))
    assert {result.table: result.outcome for result in results} == dict.fromkeys((table.id for table in source.tables), "committed")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        counts = {table.name: connection.execute(f"select count(*) from raw_shop.{table.name}").fetchall()[0][0] for table in source.tables}
    assert counts == made.inserted
    assert {result.outcome for result in sync_tables(settings, SyncRequest(source, source.tables))} == {"unchanged"}


def test_a_wrong_password_is_named_and_no_password_is_told(server: DebianServer, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, f"postgresql://owner:wrongword@127.0.0.1:{server.port}/postgres")
    (source,) = settings.sources()
    (result,) = sync_tables(settings, SyncRequest(source, source.tables[:1]))
    assert result.outcome == "held"
    assert "password" in str(result.held_reason)
    assert "wrongword" not in str(result.held_reason)
