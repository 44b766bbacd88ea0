"""The embedded PostgreSQL of the shop: started, shared, killed, stopped. Not here: what is in it (`test_shop.py`)."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipelines.errors import PrerequisiteError
from pipelines.shop.server import DATABASE, ShopServerError, open_shop_server, start_shop_server, stop_shop_server


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(ShopServerError, match="another home") as refused:
        start_shop_server(folder)
    assert isinstance(refused.value, PrerequisiteError), "the command line would print a traceback"
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder that no other session of pytest makes unreadable for the server's own user."""
    with tempfile.TemporaryDirectory(prefix="daybreak-tests-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_a_killed_server_comes_back_with_what_was_committed(own_folder: Path) -> None:
    folder = own_folder / "with spaces & more" / "postgres"
    with open_shop_server(folder) as url:
        with psycopg.connect(url) as connection:
            connection.execute("create table kept (id int)")
        os.kill(int((folder / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        with open_shop_server(folder) as url_again:
            assert fetch(url_again, "select count(*) from kept") == [(0,)]
        assert url_again == url
        assert fetch(url, "select count(*) from kept") == [(0,)], "the inner block stopped a server that the outer one uses"
    with pytest.raises(psycopg.OperationalError):
        fetch(url, "select 1")


def test_a_server_on_a_long_path_is_left_running_until_it_is_stopped(own_folder: Path) -> None:
    folder = own_folder / ("long" * 30) / "postgres"
    url = start_shop_server(folder)
    with open_shop_server(folder) as same_url:
        assert same_url == url
    assert fetch(url, "select 1") == [(1,)]
    stop_shop_server(folder)
    with pytest.raises(psycopg.OperationalError):
        fetch(url, "select 1")
    stop_shop_server(folder)


def test_the_url_works_for_adbc_and_sqlalchemy(postgres_server: str) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    with dbapi.connect(postgres_server) as connection, connection.cursor() as cursor:
        cursor.execute("select current_database()")
        assert cursor.fetchone() == (DATABASE,)
    engine = sqlalchemy.create_engine(postgres_server.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("select current_database()")) == DATABASE
    engine.dispose()
