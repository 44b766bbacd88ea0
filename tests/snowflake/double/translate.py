"""Snowflake's queries and DML as SQL of DuckDB: names, types and functions.

Functions are fakesnow's work, a transform each. What is done here are the names, which are made sensitive to case and complete, the types,
which keep all 38 digits, and what a session answers about itself.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlglot
from fakesnow import transforms
from sqlglot import Expr, exp
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError
from sqlglot.tokens import Token, TokenType

from tests.snowflake.double.errors import NotEmulated, SqlError, missing, unparsed
from tests.snowflake.double.functions import prepare_function, rewrite_function, round_quotients
from tests.snowflake.double.names import Table, decode, encode, literal, quote
from tests.snowflake.double.subqueries import refuse_subqueries
from tests.snowflake.double.transactions import EVERYTHING
from tests.snowflake.double.types import column_type
from tests.snowflake.double.vocabulary import Named, check_tokens, check_words

_BINDING = "\x01bound "
_COPY_GRANTS = re.compile(r"(?<=\bclone\s)(\S+)\s+copy\s+grants\s*$", re.I)
_TRANSFORMS = (
    transforms.try_parse_json,
    transforms.split,
    transforms.trim_cast_varchar,
    transforms.indices_to_json_extract,
    transforms.json_extract_cast_as_varchar,
    transforms.json_extract_cased_as_varchar,
    transforms.json_extract_precedence,
    transforms.flatten_value_cast_as_varchar,
    transforms.flatten,
    transforms.regex_replace,
    transforms.regex_substr,
    transforms.values_columns,
    transforms.to_date,
    transforms.timestamp_offsets,
    transforms.to_decimal,
    transforms.to_timestamp,
    transforms.to_variant,
    transforms.object_construct,
    transforms.timestamp_ntz,
    transforms.sample,
    transforms.array_size,
    transforms.random,
    transforms.array_agg_within_group,
    transforms.array_agg,
    transforms.object_agg,
    transforms.array_construct_etc,
    transforms.dateadd_date_cast,
    transforms.dateadd_string_literal_timestamp_cast,
    transforms.datediff_string_literal_timestamp_cast,
    transforms.hex_string,
    transforms.sha256,
    transforms.alias_in_join,
    transforms.alias_in_where,
)


@dataclass
class Place:
    """Where a session stands: how it completes names, and what it tells of itself."""

    database: str | None = None
    schema: str | None = None
    facts: dict[str, str] = field(default_factory=dict)  # CURRENT_ROLE and the like
    temporary: dict[Table, str] = field(default_factory=dict)  # temporary tables and views, and their names in DuckDB
    temporary_views: dict[Table, set[Table]] = field(default_factory=dict)  # those of them that are views, and what they read
    look_up: Callable[[Table], set[str]] = lambda _: set()  # the columns of what DuckDB has by that name

    def complete(self, parts: list[str]) -> Table:
        """Return the whole name of encoded ``parts``."""
        if len(parts) < 3 and not self.database:
            raise SqlError(90105, "22000", "This session does not have a current database. Call 'USE DATABASE', or use a qualified name.")
        if len(parts) < 2 and not self.schema:
            raise SqlError(90106, "22000", "This session does not have a current schema. Call 'USE SCHEMA', or use a qualified name.")
        database, schema, name = [*[self.database, self.schema][: 3 - len(parts)], *parts]
        return str(database), str(schema), str(name)

    def stored(self, table: Table) -> Table:
        """Return the name in DuckDB: a temporary table hides a permanent one."""
        return ("temp", "main", self.temporary[table]) if table in self.temporary else table

    def columns(self, parts: list[str]) -> set[str] | None:
        """Return the columns of the table or view of that name, as a statement may call them; None if it is not known."""
        if len(parts) > 1 and parts[-2] == "INFORMATION_SCHEMA":
            return {column.upper() for column in self.look_up(("memory", "main", f"_information_{parts[-1].lower()}"))} or None
        return self.look_up(self.stored(self.complete(parts))) or None


@dataclass
class Translated:
    """A statement in DuckDB's words."""

    expression: Expr
    reads: set[Table] = field(default_factory=set)

    @property
    def sql(self) -> str:
        try:
            return self.expression.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
        except UnsupportedError as error:
            raise NotEmulated(str(error)) from error


def parse(sql: str) -> Expr:
    """Return the one statement that ``sql`` is, its names encoded, its ``?`` numbered."""
    sql = _COPY_GRANTS.sub(r"\1", sql)  # there are none
    try:
        tokens = sqlglot.tokenize(sql, read="snowflake")
        check_tokens(tokens)
        found = [statement for statement in sqlglot.parse(_number_bindings(sql, tokens), read=Named) if statement]
    except SqlglotError as error:
        raise unparsed(str(error).replace("\x1b[4m", "").replace("\x1b[0m", "")) from error
    if not found:
        raise SqlError(900, "42601", "Empty SQL statement.")
    if len(found) > 1:
        raise SqlError(8, "0A000", f"Actual statement count {len(found)} did not match the desired statement count 1.")
    for identifier in list(found[0].find_all(exp.Identifier)):
        if not identifier.quoted and identifier.name.upper() == "ALL" and isinstance(identifier.parent, exp.Column):
            identifier.parent.replace(exp.Var(this="ALL"))  # of ORDER BY ALL; the word is reserved
            continue
        identifier.set("this", encode(identifier.name if identifier.quoted else identifier.name.upper()))
        identifier.set("quoted", True)
    check_words(found[0])
    return found[0]


def translate(expression: Expr, place: Place, *, freeze_now: bool = True) -> Translated:
    """Return ``expression`` for DuckDB; ``freeze_now`` says what time it is now, for all of a statement."""
    refuse_subqueries(expression, place.columns)
    result = Translated(expression)
    _complete_tables(result, place)
    root: Expr = result.expression.transform(prepare_function, copy=False)
    for transform in _TRANSFORMS:
        root = root.transform(transform, copy=False)
    now = datetime.now(UTC) if freeze_now else None
    root = root.transform(lambda node: rewrite_function(node, place.facts, now), copy=False)
    round_quotients(root)
    result.expression = root.transform(_rewrite_type, copy=False).transform(_restore_binding, copy=False)
    return result


def _number_bindings(sql: str, tokens: list[Token]) -> str:
    """Put a literal in the place of each ``?``: to change a tree may double a node, or move it."""
    # "?::text" begins with one token, which is an operator of another product.
    kinds = (TokenType.PLACEHOLDER, TokenType.QDCOLON)
    marks = [token.start for token in tokens if token.token_type in kinds]
    for number, start in reversed(list(enumerate(marks, 1))):
        sql = f"{sql[:start]}'{_BINDING}{number}'{sql[start + 1 :]}"
    return sql


def _restore_binding(node: Expr) -> Expr:
    if isinstance(node, exp.Literal) and node.is_string and node.name.startswith(_BINDING):
        return exp.Placeholder(this="p" + node.name.removeprefix(_BINDING))
    return node


def table_parts(table: exp.Table) -> list[str]:
    return [part.name for part in table.parts]


def _complete_tables(result: Translated, place: Place) -> None:
    root = result.expression
    common = {cte.alias for cte in root.find_all(exp.CTE)}
    for table in list(root.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier):
            continue  # a function of rows
        parts = table_parts(table)
        if len(parts) == 1 and parts[0] in common:
            continue
        if len(parts) > 1 and parts[-2] == "INFORMATION_SCHEMA":
            result.reads.add(EVERYTHING)
            table.replace(_information_schema(parts, place, table))
            continue
        whole = place.complete(parts)
        stored = place.stored(whole)
        result.reads |= {stored, *place.temporary_views.get(whole, ())}
        if stored != whole and not table.alias and not isinstance(table.parent, (exp.Insert, exp.Schema)):
            table.set("alias", exp.TableAlias(this=exp.to_identifier(whole[2], quoted=True)))
        for part, name in zip(("catalog", "db", "this"), stored, strict=True):
            table.set(part, exp.to_identifier(name, quoted=True))


def _information_schema(parts: list[str], place: Place, table: exp.Table) -> Expr:
    database = parts[-3] if len(parts) == 3 else place.database
    if not database:
        place.complete(parts[-2:])
    view = parts[-1].lower()
    if view not in ("tables", "columns", "schemata", "views"):
        raise missing("Object", f"INFORMATION_SCHEMA.{parts[-1]}")
    of_database = "catalog_name" if view == "schemata" else "table_catalog"
    decoded = literal(decode(str(database)))
    sql = f"(select * from memory.main._information_{view} where {of_database} = {decoded}) as {quote(table.alias or parts[-1])}"
    return sqlglot.parse_one(f"select * from {sql}", read="duckdb").args["from_"].this


def _rewrite_type(node: Expr) -> Expr:
    if not isinstance(node, exp.DataType) or isinstance(node.parent, exp.DataType):
        return node
    if node.this in (exp.DataType.Type.USERDEFINED, exp.DataType.Type.INTERVAL, exp.DataType.Type.STRUCT):
        return node
    if node.args.get("nested") or node.this in (exp.DataType.Type.LIST, exp.DataType.Type.UBIGINT):
        return node
    return exp.DataType.build(column_type(node).duck, dialect="duckdb")
