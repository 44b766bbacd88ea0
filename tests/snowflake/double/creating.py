"""CREATE TABLE and CREATE VIEW, in all their forms."""

import re
import uuid
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from tests.snowflake.double.errors import NotEmulated, SqlError, existing, missing
from tests.snowflake.double.lengths import check_lengths
from tests.snowflake.double.metadata import Metadata, comment_sql, read_columns
from tests.snowflake.double.names import Table, decode, quote, quote_all
from tests.snowflake.double.translate import table_parts, translate
from tests.snowflake.double.types import column_type, stored_type
from tests.snowflake.double.wire import Result, done

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session


def run(session: "Session", expression: exp.Create, sql: str) -> Result:
    from tests.snowflake.double.tables import find_kind

    kind = str(expression.args["kind"]).upper()
    target = expression.this.this if isinstance(expression.this, exp.Schema) else expression.this
    table = session.place.complete(table_parts(target))
    head = sql[: sql.find(kind.lower() if kind.lower() in sql[:80] else kind)].upper() or sql[:60].upper()
    temporary = bool(re.search(r"\bTEMP(ORARY)?\b", head))
    stored = ("temp", "main", "/".join(table)) if temporary else table
    source = expression.expression
    comment = _comment(expression)

    reads: set[Table] = set()

    def create() -> str:
        found = find_kind(session, stored)
        if found and expression.args.get("exists"):
            return f"{decode(table[2])} already exists, statement succeeded."
        if found and not expression.args.get("replace"):
            raise existing(decode(table[2]))
        if found and found != kind:
            raise SqlError(1998, "42710", f"SQL compilation error:\nObject '{decode(table[2])}' already exists as {found}")
        columns: dict[str, Metadata] = {}
        if not temporary:
            _check_schema(session, table)
        if kind == "VIEW":
            _drop(session, found, stored)
            names = f" ({', '.join(quote(c.name) for c in expression.this.expressions)})" if isinstance(expression.this, exp.Schema) else ""
            translated = translate(source, session.place, freeze_now=False)
            session.duck.execute(f"create {'temporary ' if temporary else ''}view {quote_all(stored)}{names} as {translated.sql}")
            reads.update(translated.reads)
        elif clone := expression.args.get("clone"):
            columns = _copy(session, session.place.complete(table_parts(clone.this)), stored, found)
        elif isinstance(source, exp.Query):
            columns = _create_as(session, expression, stored, found)
        elif like := next(iter(expression.find_all(exp.LikeProperty)), None):
            columns = _copy(session, session.place.complete(table_parts(like.this)), stored, found, " limit 0")
        else:
            _drop(session, found, stored)
            columns = _create(session, expression.this, stored)
        for column, metadata in columns.items():
            session.duck.execute(comment_sql("TABLE", stored, column, metadata))
        about = {"id": uuid.uuid4().hex, "kind": "YES" if "TRANSIENT" in head else "NO", "owner": session.place.facts["ROLE"]}
        session.duck.execute(comment_sql(kind, stored, None, about | ({"comment": comment} if comment else {})))
        if kind == "TABLE":
            check_lengths(session.duck, stored)
        return f"{kind.capitalize()} {decode(table[2])} successfully created."

    message = session.transaction.define(set() if temporary else {stored}, create)
    if temporary:
        session.place.temporary[table] = stored[2]
        if reads:
            session.place.temporary_views[table] = reads
    return done(message)


def _check_schema(session: "Session", table: Table) -> None:
    sql = "select count(*) from duckdb_schemas() where database_name = ? and schema_name = ?"
    if session.duck.execute(sql, list(table[:2])).fetchall() == [(0,)]:
        raise missing("Schema", ".".join(map(decode, table[:2])))


def _drop(session: "Session", found: str | None, stored: Table) -> None:
    if found:
        session.duck.execute(f"drop {found} {quote_all(stored)}")


def _kind(stored: Table) -> str:
    return "temporary table" if stored[0] == "temp" else "table"


def _comment(expression: Expr) -> str:
    found = next(iter(expression.find_all(exp.SchemaCommentProperty)), None)
    return found.this.name if found else ""


def _create(session: "Session", schema: Expr, stored: Table) -> dict[str, Metadata]:
    """Create a table of declared columns. Keys are not enforced by Snowflake, so they are left out."""
    if not isinstance(schema, exp.Schema):
        raise SqlError(1003, "42000", "SQL compilation error:\nno columns")
    columns, metadata = [], {}
    for definition in schema.expressions:
        if isinstance(definition, exp.ColumnDef):
            text, known = declare(session, definition)
            columns.append(text)
            metadata[definition.name] = known
    session.duck.execute(f"create {_kind(stored)} {quote_all(stored)} ({', '.join(columns)})")
    return metadata


def declare(session: "Session", definition: exp.ColumnDef) -> tuple[str, Metadata]:
    """Return DuckDB's definition of a column, and what it does not keep."""
    if definition.args.get("kind") is None:
        raise SqlError(1003, "42000", f"SQL compilation error:\ncolumn '{decode(definition.name)}' has no type")
    kind = column_type(definition.args["kind"])
    text, metadata = f"{quote(definition.name)} {kind.duck}", {"type": kind.name}
    for constraint in definition.args.get("constraints") or ():
        match constraint.args.get("kind"):
            case exp.NotNullColumnConstraint() as found if not found.args.get("allow_null"):
                text += " not null"
            case exp.DefaultColumnConstraint() as found:
                text += f" default {translate(found.this, session.place, freeze_now=False).sql}"
            case exp.CommentColumnConstraint() as found:
                metadata["comment"] = found.this.name
            case exp.NotNullColumnConstraint() | exp.PrimaryKeyColumnConstraint() | exp.UniqueColumnConstraint() | exp.Reference():
                pass
            case found:
                raise NotEmulated(f"a column with {found.sql('snowflake') if found else constraint}")
    return text, metadata


def _create_as(session: "Session", expression: exp.Create, stored: Table, found: str | None) -> dict[str, Metadata]:
    select = translate(expression.expression, session.place).sql
    described = session.duck.execute(f"describe {select}").fetchall()
    kinds = [stored_type(str(row[1])) for row in described]
    names = [str(row[0]) for row in described]
    metadata: dict[str, Metadata] = {}
    if isinstance(expression.this, exp.Schema):
        names = [column.name for column in expression.this.expressions]
        for place, definition in enumerate(expression.this.expressions):
            if isinstance(definition, exp.ColumnDef) and definition.args.get("kind"):
                kinds[place] = column_type(definition.args["kind"])
                metadata[definition.name] = declare(session, definition)[1]
    inner = ", ".join(f"c{place}" for place in range(len(names)))
    outer = ", ".join(
        f"cast(c{place} as {kind.duck}) as {quote(name)}" for place, (kind, name) in enumerate(zip(kinds, names, strict=True))
    )
    made = (stored[0], stored[1], f"made {uuid.uuid4().hex}")
    session.duck.execute(f"create {_kind(stored)} {quote_all(made)} as select {outer} from ({select}) as made ({inner})")
    _drop(session, found, stored)
    session.duck.execute(f"alter table {quote_all(made)} rename to {quote(stored[2])}")
    return metadata


def _copy(session: "Session", source: Table, stored: Table, found: str | None, limit: str = "") -> dict[str, Metadata]:
    from tests.snowflake.double.tables import find_kind

    origin = session.place.stored(source)
    if find_kind(session, origin) != "TABLE":
        raise missing("Object", ".".join(map(decode, source)))
    metadata = read_columns(session.duck, origin)
    required = "select column_name from duckdb_columns() where not is_nullable and database_name = ? and schema_name = ? and table_name = ?"
    columns = [column for (column,) in session.duck.execute(required, list(origin)).fetchall()]
    made = (stored[0], stored[1], f"made {uuid.uuid4().hex}")
    session.duck.execute(f"create {_kind(stored)} {quote_all(made)} as from {quote_all(origin)}{limit}")
    for column in columns:
        session.duck.execute(f"alter table {quote_all(made)} alter column {quote(column)} set not null")
    _drop(session, found, stored)
    session.duck.execute(f"alter table {quote_all(made)} rename to {quote(stored[2])}")
    return metadata
