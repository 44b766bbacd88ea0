"""Snowflake's SQL where it is not DuckDB's.

A name that Snowflake would take without quotes is written in capitals, as it would store it: so people and models that do not
quote find the table, and one SQL is right on both warehouses.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from pipelines.sync.shape import Column
from pipelines.warehouses.dialect import Dialect, Named

_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


class SnowflakeDialect(Dialect):
    """Snowflake's way of saying things. ``suffix``: of the raw tables' names, where a load is made beside what readers see."""

    # Without fail-safe, in which deleted rows would be kept for a week beyond anybody's reach.
    create = "create transient table"
    new_id = "uuid_string()"
    types: ClassVar = {
        pa.bool_(): "boolean",
        pa.binary(): "binary",
        pa.date32(): "date",
        pa.float32(): "float",
        pa.float64(): "float",
        pa.int16(): "number(5, 0)",
        pa.int32(): "number(10, 0)",
        pa.int64(): "number(19, 0)",
        pa.string(): "varchar",
        pa.time64("us"): "time(6)",
        pa.timestamp("us"): "timestamp_ntz(6)",
        pa.timestamp("us", tz="UTC"): "timestamp_tz(6)",
    }

    def __init__(self, suffix: str = "") -> None:
        """Remember the suffix."""
        self.suffix = suffix

    def quote(self, name: str) -> str:
        """Return ``name`` in quotes: in capitals, if Snowflake would make it so."""
        return '"' + (name.upper() if _REGULAR.fullmatch(name) else name.replace('"', '""')) + '"'

    @staticmethod
    def exactly(name: str) -> str:
        """Return a name that Snowflake itself has told, in quotes."""
        return '"' + name.replace('"', '""') + '"'

    def stored(self, name: str) -> str:
        """Return what Snowflake calls a raw table, or a schema, of that name."""
        return self.quote(name + self.suffix)[1:-1].replace('""', '"')

    def raw_table(self, spec: Named) -> str:
        """Return the name of a raw table."""
        return f"{self.schema_name(spec)}.{self.quote(spec.name + self.suffix)}"

    def type_of(self, arrow_type: pa.DataType) -> str:
        """Return the column type that holds every value of ``arrow_type``."""
        if pa.types.is_decimal(arrow_type):
            return f"number({arrow_type.precision}, {arrow_type.scale})"
        return str(self.types[arrow_type])

    def comment(self, text: str | None) -> str:
        """Return a comment as a literal; one that is not there is an empty one."""
        return "'" + (text or "").replace("\\", "\\\\").replace("'", "''") + "'"

    def members(self, parameter: str, type_: str = "varchar") -> str:
        """Return the SELECT of a list's values."""
        return f"select value::{type_} from table(flatten(input => parse_json(${parameter})))"

    def rows(self, parameter: str, columns: Mapping[str, str]) -> str:
        """Return the SELECT of the values of a JSON array of arrays."""
        values = ", ".join(f"value[{number}]::varchar::{type_} as {name}" for number, (name, type_) in enumerate(columns.items()))
        return f"select {values} from table(flatten(input => parse_json(${parameter})))"

    def json_item(self, array: str, number: int) -> str:
        """Return the text at a position of a JSON array."""
        return f"parse_json({array})[{number}]::varchar"

    def day_of(self, column: str, time_zone: str | None) -> str:
        """Return the day of a column."""
        local = f"convert_timezone('{time_zone}', {column})" if time_zone else column
        return f"cast({local} as date)"

    def as_text(self, column: str, arrow_type: pa.DataType) -> str:
        """Return a value's text as PostgreSQL writes it."""
        if pa.types.is_binary(arrow_type):
            return f"'\\\\x' || hex_encode({column}, 0)"
        if pa.types.is_date(arrow_type):
            return f"to_char({column}, 'YYYY-MM-DD')"
        if pa.types.is_time(arrow_type):
            return _trimmed(f"to_char({column}, 'HH24:MI:SS.FF6')")
        if pa.types.is_timestamp(arrow_type):
            text = _trimmed(f"to_char({_utc(column) if arrow_type.tz else column}, 'YYYY-MM-DD HH24:MI:SS.FF6')")
            return f"{text} || '+00'" if arrow_type.tz else text
        return f"cast({column} as varchar)"

    def canonical(self, column: Column) -> str:
        """Return a value's canonical text."""
        name, kind = self.quote(column.name), column.arrow_type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            return f"md5({name})"
        if pa.types.is_floating(kind):
            return float_bits(name, is_single=pa.types.is_float32(kind))
        if pa.types.is_date(kind):
            return f"cast(datediff('day', '1970-01-01'::date, {name}) as varchar)"
        if pa.types.is_time(kind):
            return f"cast(datediff('microsecond', '00:00:00'::time, {name}) as varchar)"
        if pa.types.is_timestamp(kind):
            instant = _utc(name) if kind.tz else name
            return f"cast(datediff('microsecond', '1970-01-01'::timestamp_ntz, {instant}) as varchar)"
        return f"cast({name} as varchar)"

    def hex_number(self, digits: str) -> str:
        """Return the number that hex digits are."""
        return f"to_number({digits}, 'XXXXXXXXXXXXXXX')"

    def shifted(self, number: str, bits: int) -> str:
        """Return the text of a shifted integer: division rounds, so what is divided has no rest."""
        size = 1 << bits
        rest = f"mod(mod({number}, {size}) + {size}, {size})"
        return f"cast(cast(({number} - {rest}) / {size} as number(38, 0)) as varchar)"

    def texts(self, values: Sequence[str]) -> str:
        """Return an array of texts, as JSON."""
        return f"to_json(array_construct({', '.join(values)}))"

    def read_texts(self, value: str) -> tuple[str | None, ...]:
        """Return the texts of a JSON array."""
        return tuple(json.loads(value))

    def widens_in_place(self, before: Column, after: Column) -> bool:
        """Whether a column can have its wider type without its values being written anew: a number's scale cannot change so."""
        old, new = (re.fullmatch(r"number\(\d+, (\d+)\)", self.type_of(column.arrow_type)) for column in (before, after))
        return self.type_of(before.arrow_type) == self.type_of(after.arrow_type) or bool(old and new and old[1] == new[1])

    def comments(self, table: str, comment: str | None, columns: Sequence[Column]) -> list[str]:
        """Return the DDL of comments: one statement for all columns."""
        each = ", ".join(f"column {self.quote(one.name)} comment {self.comment(one.comment)}" for one in columns)
        return [f"comment on table {table} is {self.comment(comment)}", *([f"alter table {table} alter ({each})"] if each else [])]

    def widen(self, table: str, before: Column, after: Column) -> list[str]:
        """Return the DDL that widens a column, and the UPDATE where it cannot be done in place."""
        name, type_, room = self.quote(after.name), self.type_of(after.arrow_type), self.quote(f"_widening_{after.name}")
        if self.widens_in_place(before, after):
            return [f"alter table {table} alter column {name} set data type {type_}"]
        return [
            f"alter table {table} rename column {name} to {room}",
            f"alter table {table} add column {name} {type_}",
            f"update {table} set {name} = cast({room} as {type_})",
            f"alter table {table} drop column {room}",
        ]


def float_bits(value: str, *, is_single: bool) -> str:
    """Return the SQL of a float's bits as hex digits, by arithmetic alone: Snowflake has no cast for them.

    Source: IEEE 754. The exponent is that of the greatest power of two which is not above the value; what is left of the value, as
    a whole number of units of that power's last bit, is the mantissa. Every product here is one by a power of two, and so exact.
    """
    bias, bits, digits = (127, 23, 8) if is_single else (1023, 52, 16)
    least = 1 - bias
    size = f"abs({value})"
    guess = f"greatest({least}, floor(ln({size}) / ln(2::float)))"
    # A logarithm is rounded, so the guess may be one off, either way.
    exponent = (
        f"({guess} + iff({size} >= pow(2::float, {guess} + 1), 1, 0) - iff({size} < pow(2::float, {guess}) and {guess} > {least}, 1, 0))"
    )
    # In two steps, since 2^1074 is beyond a float.
    units = f"({size} * pow(2::float, {bits} - greatest({exponent}, -500)) * pow(2::float, greatest({exponent}, -500) - {exponent}))"
    hidden = f"iff({units} < pow(2::float, {bits}), 0, {exponent} + {bias})"
    mantissa = f"({units} - iff({units} < pow(2::float, {bits}), 0, pow(2::float, {bits})))"
    sign = f"iff({value} < 0, 1, 0)"
    whole = f"cast({sign} as number(38, 0)) * {1 << (4 * digits - 1)} + cast({hidden} as number(38, 0)) * {1 << bits}"
    text = f"lower(lpad(ltrim(to_char({whole} + cast({mantissa} as number(38, 0)), '{'X' * digits}')), {digits}, '0'))"
    special = {"'NaN'": "7fc00000" if is_single else "7ff8000000000000"}
    special |= {"'inf'": "7f800000" if is_single else "7ff0000000000000", "'-inf'": "ff800000" if is_single else "fff0000000000000"}
    cases = " ".join(f"when {value} = {name}::float then '{bits_}'" for name, bits_ in special.items())
    return f"case when {value} is null then null when {value} = 0 then '{'0' * digits}' {cases} else {text} end"


def _utc(column: str) -> str:
    return f"convert_timezone('UTC', {column})::timestamp_ntz"


def _trimmed(clock: str) -> str:
    return f"regexp_replace({clock}, '[.]?0+$', '')"  # of a fraction that has six digits always
