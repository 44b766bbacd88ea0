"""COPY INTO a table from Parquet files in a stage."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.snowflake.double.errors import NotEmulated, SqlError, missing, unparsed
from tests.snowflake.double.lengths import check_lengths
from tests.snowflake.double.metadata import read_metadata
from tests.snowflake.double.names import Table, decode, literal, parse_name, quote, quote_all
from tests.snowflake.double.stages import PLACE, Location, etag, locate
from tests.snowflake.double.transactions import Statement
from tests.snowflake.double.wire import OTHER, Result, done, make_result

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_PART = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_COPY = re.compile(rf"copy\s+into\s+({_PART}(?:\.{_PART})*)\s+from\s+({PLACE})\s*(.*)$", re.I | re.S)
_OPTION = re.compile(r"\s*(\w+)\s*=\s*(\((?:'[^']*'|[^()'])*\)|'[^']*'|[^\s()]+)", re.S)
_OPTIONS = {"FILES", "FILE_FORMAT", "MATCH_BY_COLUMN_NAME", "INCLUDE_METADATA", "ON_ERROR", "FORCE", "PURGE"}
_FORMAT = {"TYPE", "USE_VECTORIZED_SCANNER", "BINARY_AS_TEXT", "USE_LOGICAL_TYPE", "COMPRESSION", "SNAPPY_COMPRESSION"}
_METADATA = {"METADATA$FILENAME", "METADATA$FILE_ROW_NUMBER"}
_ROWS = {
    "file": "text",
    "status": "text",
    "rows_parsed": "number",
    "rows_loaded": "number",
    "error_limit": "number",
    "errors_seen": "number",
    "first_error": "text",
    "first_error_line": "number",
    "first_error_character": "number",
    "first_error_column_name": "text",
}


@dataclass(frozen=True)
class Options:
    """What a COPY asks for."""

    files: tuple[str, ...]
    formats: dict[str, str]
    metadata: dict[str, str]  # column, encoded, and what it gets
    is_case_sensitive: bool
    force: bool
    purge: bool


def run(session: "Session", sql: str) -> Result:
    found = _COPY.match(sql)
    if not found:
        raise NotEmulated("COPY with a query, with a list of columns, or out of a table")
    table = session.place.complete(parse_name(found[1]))
    stored, options = session.place.stored(table), _parse_options(found[5])
    place = locate(session, found[2])
    about = _columns(session, stored)
    if not about:
        raise missing("Table", ".".join(map(decode, table)))
    table_id = read_metadata(session.duck, stored).get("id", "")
    files = _choose_files(place, options)
    tags = {file: etag(file) for file in files}
    if not options.force:
        files = [file for file in files if (place.staged_name(file), tags[file]) not in _loaded(session, table, table_id)]
    if not files:
        return done("Copy executed with 0 files processed.", OTHER)
    loads = quote_all((table[0], "_daybreak", "loads"))
    writes = [_insert(session, stored, about, place, file, options) for file in files]
    notes = [
        Statement(f"insert into {loads} values ({literal(table_id)}, {literal(place.staged_name(file))}, {literal(tags[file])})")
        for file in files
    ]
    counted = session.transaction.write([*writes, *notes], lambda: check_lengths(session.duck, stored))
    if options.purge:
        for file in files:
            session.transaction.at_end(partial(file.unlink, missing_ok=True))
    counts = [rows[0][0] for rows in counted[: len(files)]]
    rows = [
        (place.staged_name(file), "LOADED", count, count, 1, 0, None, None, None, None) for file, count in zip(files, counts, strict=True)
    ]
    return make_result(_ROWS, rows, OTHER)


def _parse_options(text: str) -> Options:
    pairs = {name.upper(): value for name, value in _OPTION.findall(text)}
    if rest := _OPTION.sub("", text).strip():
        raise unparsed(f"syntax error: unexpected '{rest}'")
    if unknown := set(pairs) - _OPTIONS:
        raise NotEmulated(f"COPY with {', '.join(sorted(unknown))}")
    formats = {name.upper(): value.strip("'").upper() for name, value in _OPTION.findall(pairs.get("FILE_FORMAT", "()")[1:-1])}
    if formats.get("TYPE") != "PARQUET" or set(formats) - _FORMAT:
        raise NotEmulated(f"COPY with FILE_FORMAT = ({formats})")
    if "TRUE" not in (formats.get("USE_LOGICAL_TYPE"), formats.get("USE_VECTORIZED_SCANNER")):
        raise NotEmulated("COPY of Parquet without its logical types")
    matching = pairs.get("MATCH_BY_COLUMN_NAME", "NONE").strip("'").upper()
    if matching == "NONE":
        raise SqlError(
            2019,
            "0A000",
            "SQL compilation error:\nPARQUET file format can produce one and only one column of type variant, object, or array.",
        )
    if pairs.get("ON_ERROR", "ABORT_STATEMENT").strip("'").upper() != "ABORT_STATEMENT":
        raise NotEmulated("COPY with another ON_ERROR than ABORT_STATEMENT")
    metadata = dict(re.findall(rf"({_PART})\s*=\s*([\w$]+)", pairs.get("INCLUDE_METADATA", "")))
    if unknown := {value.upper() for value in metadata.values()} - _METADATA:
        raise NotEmulated(f"INCLUDE_METADATA with {', '.join(unknown)}")
    return Options(
        tuple(re.findall(r"'([^']*)'", pairs.get("FILES", ""))),
        formats,
        {parse_name(column)[0]: value.upper() for column, value in metadata.items()},
        matching == "CASE_SENSITIVE",
        pairs.get("FORCE", "FALSE").upper() == "TRUE",
        pairs.get("PURGE", "FALSE").upper() == "TRUE",
    )


def _choose_files(place: Location, options: Options) -> list[Path]:
    if not options.files:
        return place.files()
    files = [place.folder / place.path / name for name in options.files]
    for file in files:
        if not file.is_file():
            raise SqlError(91016, "22000", f"Remote file '{place.staged_name(file)}' was not found.")
    return files


def _columns(session: "Session", table: Table) -> dict[str, str]:
    sql = "select column_name, data_type from duckdb_columns() where database_name = ? and schema_name = ? and table_name = ?"
    return dict(session.duck.execute(sql, list(table)).fetchall())


def _loaded(session: "Session", table: Table, table_id: str) -> set[tuple[str, str]]:
    sql = f"select file, etag from {quote(table[0])}._daybreak.loads where table_id = {literal(table_id)}"
    return set(session.transaction.look(Statement(sql)))


def _insert(session: "Session", stored: Table, about: dict[str, str], place: Location, file: Path, options: Options) -> Statement:
    """Return the INSERT of one file: the columns that it and the table have."""
    read = f"read_parquet({literal(str(file))}, file_row_number = true, hive_partitioning = false)"
    with session.store.duck.cursor() as aside:
        try:
            described = {str(row[0]): str(row[1]) for row in aside.execute(f"describe select * from {read}").fetchall()}
        except Exception as error:
            raise SqlError(100142, "22000", f"Error parsing the parquet file '{place.staged_name(file)}': {error}") from error
    described.pop("file_row_number")
    fold = (lambda name: name) if options.is_case_sensitive else str.upper
    by_name = {fold(name): name for name in described}
    values = {}
    for column, kind in about.items():
        if given := options.metadata.get(column):
            row = "file_row_number + 1" if given.endswith("NUMBER") else literal(place.staged_name(file).removeprefix(f"{place.name}/"))
            values[column] = f"cast({row} as {kind})"
        elif name := by_name.get(fold(decode(column))):
            values[column] = _convert(quote(name), described[name], kind, options)
    if not values:
        raise SqlError(100158, "22000", f"None of the columns of '{place.staged_name(file)}' is a column of the table.")
    values |= dict.fromkeys(about.keys() - values.keys(), "null")  # not its default
    columns, selected = ", ".join(map(quote, values)), ", ".join(values.values())
    return Statement(f"insert into {quote_all(stored)} ({columns}) select {selected} from {read}", writes=frozenset({stored}))


def _convert(name: str, given: str, kind: str, options: Options) -> str:
    """SQL of a value of the file as one of the table; where Snowflake's own way is not known for sure, an error."""
    zones = ("WITH TIME ZONE" in given, "WITH TIME ZONE" in kind)
    if given.startswith("TIMESTAMP") and kind.startswith("TIMESTAMP") and zones[0] != zones[1]:
        raise NotEmulated(f"COPY of Parquet's {given} into {kind}")
    if given == "BLOB" and options.formats.get("BINARY_AS_TEXT", "TRUE") != "FALSE":
        raise NotEmulated("COPY of Parquet's binary columns without BINARY_AS_TEXT = FALSE")
    return f"to_json({name})" if kind == "JSON" else f"cast({name} as {kind})"
