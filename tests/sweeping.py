"""Looks for secrets in everything that a project wrote: raw bytes in many encodings, and what is inside of files that are coded."""

import base64
import json
import shutil
import sqlite3
import subprocess
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow.parquet as pq

SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Find:
    """A secret that was found: its name, where, and in which form."""

    secret: str
    place: str
    form: str


def forms(secret: str) -> dict[str, bytes]:
    """Return the ways in which a text may have been written."""
    plain = secret.encode()
    found = {
        "utf-8": plain,
        "utf-16-le": secret.encode("utf-16-le"),
        "utf-16-be": secret.encode("utf-16-be"),
        "json": json.dumps(secret)[1:-1].encode(),
        "percent": quote(secret, safe="").encode(),
        "hex": plain.hex().encode(),
    }
    for shift in range(3):  # base64 writes three bytes at once, so the same text looks different in three places
        text = base64.b64encode(b"\0" * shift + plain)
        found[f"base64+{shift}"] = text[2 + shift if shift else 0 : len(text) - 4].rstrip(b"=")
    return found


def sweep_bytes(data: bytes, place: str, secrets: Mapping[str, str]) -> Iterator[Find]:
    for name, secret in secrets.items():
        for form, needle in forms(secret).items():
            if needle and needle in data:
                yield Find(name, place, form)


def sweep_text(text: str, place: str, secrets: Mapping[str, str]) -> Iterator[Find]:
    yield from sweep_bytes(text.encode(), place, secrets)


def sweep_error(error: BaseException, secrets: Mapping[str, str]) -> Iterator[Find]:
    """Look through all that Python, or Dagster, would print of an error: its causes and its context too."""
    yield from sweep_text("".join(traceback.format_exception(error)), "traceback", secrets)
    chain: BaseException | None = error
    while chain is not None:
        yield from sweep_text(f"{chain!r} {chain.args!r} {vars(chain)!r}", f"{type(chain).__name__}", secrets)
        chain = chain.__cause__


def sweep_folder(folder: Path, secrets: Mapping[str, str], *, without: Iterable[Path] = ()) -> list[Find]:
    """Look into every file below ``folder``, and inside of Parquet, DuckDB and SQLite files row by row.

    In a copy that another process makes: to open and close a file here would take this process's own SQLite its locks away.
    """
    found: list[Find] = []
    skipped = {path.relative_to(folder) for path in without}
    with TemporaryDirectory() as beside:
        copy = Path(beside) / "copy"
        subprocess.run(["cp", "-R", str(folder), str(copy)], check=True)
        names = sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file())
        names = [name for name in names if name not in skipped]
        for name in names:  # all of them first: a look into a SQLite file removes those beside it
            found += sweep_text(str(name), f"{name.name} (its name)", secrets)
            found += sweep_bytes((copy / name).read_bytes(), str(folder / name), secrets)
        for name in names:
            if (copy / name).exists():
                found += [find for text, part in _inside(copy / name) for find in sweep_text(text, f"{folder / name}: {part}", secrets)]
    return found


def _inside(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts inside of a coded file, and where in it."""
    head = file.read_bytes()[:16]
    if head[:4] == b"PAR1":
        table = pq.read_table(file)
        yield repr(table.to_pylist()), "rows"
        yield repr(table.schema.metadata), "metadata"
    elif head[8:12] == b"DUCK":
        yield from _inside_duckdb(file)
    elif head == SQLITE:
        yield from _inside_sqlite(file)


def _inside_duckdb(file: Path) -> Iterator[tuple[str, str]]:
    with TemporaryDirectory() as folder:  # a copy, as the file may be in use
        copy = Path(folder) / file.name.replace(".read.", ".")  # views name the database, which is called like the file
        for ending in ("", ".wal"):
            if file.with_name(file.name + ending).exists():
                shutil.copy(file.with_name(file.name + ending), f"{copy}{ending}")
        with duckdb.connect(str(copy)) as connection:
            for name in ("duckdb_tables", "duckdb_views", "duckdb_columns", "duckdb_constraints"):
                yield repr(connection.execute(f"select * from {name}()").fetchall()), name
            relations = "select schema_name, table_name from duckdb_tables() union all select schema_name, view_name from duckdb_views()"
            for schema, name in connection.execute(f"{relations} where not internal").fetchall():
                columns = "columns(*)::varchar"
                yield repr(connection.execute(f'select {columns} from "{schema}"."{name}"').fetchall()), f"{schema}.{name}"


def _inside_sqlite(file: Path) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
        for (name,) in names:
            rows: list[Any] = connection.execute(f'select * from "{name}"').fetchall()
            yield repr(rows), name
