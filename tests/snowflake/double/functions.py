"""Functions that neither sqlglot nor fakesnow write as DuckDB's, or not as Snowflake answers."""

import re
from datetime import datetime

from sqlglot import Expr, exp

from tests.snowflake.double.errors import NotEmulated

# Text of a value, by its type, which is known only when DuckDB binds it: as CAST and TO_VARCHAR write it without a format. And a time by
# a format of strftime. The lambda is for a value that is evaluated once.
MACROS = """
    create macro memory.main._daybreak_text(x) as list_transform([x], lambda v: case typeof(v)
        when 'BLOB' then hex(v::varchar::blob)
        when 'JSON' then v::varchar::json->>'$'
        when 'DOUBLE' then replace(v::varchar, 'nan', 'NaN')
        when 'TIMESTAMP' then strftime(cast(v::varchar as timestamp), '%Y-%m-%d %H:%M:%S.%g')
        when 'TIMESTAMP WITH TIME ZONE' then
            strftime(_daybreak_wall(v::varchar), '%Y-%m-%d %H:%M:%S.%g ') || rpad(regexp_extract(v::varchar, '[+-][0-9]+$'), 5, '0')
        else case when typeof(v) like 'DECIMAL%' then regexp_replace(v::varchar, '^(-?)[.]', '\\1' || '0.') else v::varchar end end)[1];
    create macro memory.main._daybreak_format(x, f) as list_transform([x], lambda v: case typeof(v)
        when 'TIME' then strftime(cast('1970-01-01 ' || v::varchar as timestamp), f)
        else strftime(_daybreak_wall(v::varchar), f) end)[1];
    create macro memory.main._daybreak_scale(kind) as coalesce(try_cast(regexp_extract(kind, ',([0-9]+)', 1) as integer), 0);
    create macro memory.main._daybreak_quotient(x, y) as list_transform([{'x': x, 'y': y}], lambda v: case
        when typeof(v.x) = 'DOUBLE' or typeof(v.y) = 'DOUBLE' then v.x / v.y
        else round(v.x / v.y, greatest(_daybreak_scale(typeof(v.x)), least(_daybreak_scale(typeof(v.x)) + 6, 12))) end)[1];
    create macro memory.main._daybreak_document(x) as case when strlen(x) > 16777216 then error('document is too large') else x end;
    create macro memory.main._daybreak_try_document(x) as case when strlen(x) <= 16777216 then x end;
    create macro memory.main._daybreak_try_timestamp(x) as try_cast(x as timestamp);
    create or replace macro memory.main._fs_to_timestamp(x, scale) as case
        when try_cast(x as bigint) is null then cast(x as timestamp)
        when scale = 0 then make_timestamp(x::bigint * 1000000)
        when scale = 3 then make_timestamp(x::bigint * 1000)
        when scale = 6 then make_timestamp(x::bigint)
        when scale = 9 then make_timestamp(x::bigint // 1000) end;
"""
WALL = "create macro memory.main._daybreak_wall(t) as cast(regexp_replace(t, '(:[0-9.]+)[+-][0-9:]+$', '\\1') as timestamp)"
_FORMATS = {
    "YYYY": "%Y",
    "HH24": "%H",
    "HH12": "%I",
    "MON": "%b",
    "FF9": "%n",
    "FF6": "%f",
    "FF3": "%g",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "DY": "%a",
    "MI": "%M",
    "SS": "%S",
    "FF": "%n",
    "AM": "%p",
    "PM": "%p",
}
_FORMAT = re.compile(r'"([^"]*)"|(' + "|".join(_FORMATS) + r")|([-/:. T,_])", re.I)
_FACTS = ("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA", "ACCOUNT", "SESSION", "REGION", "USER", "VERSION")
_PATHS = (exp.JSONExtract, exp.JSONExtractScalar, exp.Bracket)


def prepare_function(node: Expr) -> Expr:
    """Return ``node`` for fakesnow's transforms; what those would get wrong is written here."""
    match node:
        case exp.TryCast() if node.to.this in (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ):
            return exp.Anonymous(this="_daybreak_try_timestamp", expressions=[node.this])
        case exp.TryCast():
            return node
        case exp.Cast() if node.to.this in exp.DataType.TEXT_TYPES and not isinstance(node.this.unnest(), _PATHS):
            text = exp.Anonymous(this="_daybreak_text", expressions=[node.this])
            length = node.to.expressions
            return exp.Anonymous(this="left", expressions=[text, length[0].this]) if length else text
        case exp.ToChar():
            return _format(node)
        case exp.ParseJSON() if not isinstance(node.this, exp.Literal):
            name = "_daybreak_try_document" if node.args.get("safe") else "_daybreak_document"
            node.set("this", exp.Anonymous(this=name, expressions=[node.this]))
        case exp.ToNumber() if node.args.get("format") is not None:
            return _parse_hexadecimal(node.this, str(node.args["format"].name))
        case exp.MD5NumberLower64():
            return _md5_number(node.this, 17)
        case exp.MD5NumberUpper64():
            return _md5_number(node.this, 1)
        case exp.Explode() if node.expressions:
            raise NotEmulated("FLATTEN with more than INPUT")
        case exp.Typeof():
            raise NotEmulated("TYPEOF")
    return node


def rewrite_function(node: Expr, facts: dict[str, str], now: datetime | None) -> Expr:
    """Return ``node``, or what DuckDB calls it."""
    name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name() if isinstance(node, exp.Func) else "").upper()
    if name == "LAST_QUERY_ID":
        return _text(facts.get("LAST_QUERY_ID"))
    if name.startswith("CURRENT_") and name.removeprefix("CURRENT_") in _FACTS:
        return _text(facts.get(name.removeprefix("CURRENT_")))
    if isinstance(node, exp.Div) and not (isinstance(node.expression, exp.Literal) and float(node.expression.name)):
        # DuckDB divides by zero in silence.
        divisor = node.expression
        failed = exp.Anonymous(this="error", expressions=[exp.Literal.string("Division by zero")])
        zero = exp.EQ(this=exp.paren(divisor.copy()), expression=exp.Literal.number(0))
        node.set("expression", exp.paren(exp.Case(ifs=[exp.If(this=zero, true=failed)], default=divisor.copy())))
        return node
    if now is not None and isinstance(node, exp.CurrentTimestamp):
        if node.args.get("sysdate"):
            return exp.cast(exp.Literal.string(now.replace(tzinfo=None).isoformat()), exp.DataType.Type.TIMESTAMP)
        return exp.cast(exp.Literal.string(now.isoformat()), exp.DataType.Type.TIMESTAMPTZ)
    return node


def round_quotients(root: Expr) -> None:
    """Make each quotient of numbers as long as on Snowflake: six digits more than the dividend has, up to twelve."""
    for division in reversed(list(root.find_all(exp.Div))):
        division.replace(exp.Anonymous(this="_daybreak_quotient", expressions=[division.this, division.expression]))


def _format(node: exp.ToChar) -> Expr:
    asked = node.args.get("format")
    if asked is None:
        return exp.Anonymous(this="_daybreak_text", expressions=[node.this])
    if asked.name.upper() == "HEX":
        return exp.Anonymous(this="hex", expressions=[node.this])
    if isinstance(asked, exp.Literal) and set(asked.name.upper()) == {"X"} and len(asked.name) <= 16:
        # Of numbers that are not negative.
        digits = exp.cast(exp.paren(node.this), exp.DataType(this=exp.DataType.Type.USERDEFINED, kind="UBIGINT"))
        return exp.Anonymous(this="to_hex", expressions=[digits])
    if not isinstance(asked, exp.Literal) or _FORMAT.sub("", asked.name):
        raise NotEmulated(f"the format {asked.name}")
    text = _FORMAT.sub(lambda found: found[1] or found[3] or _FORMATS[found[2].upper()], asked.name)
    return exp.Anonymous(this="_daybreak_format", expressions=[node.this, exp.Literal.string(text)])


def _parse_hexadecimal(text: Expr, asked: str) -> Expr:
    if set(asked.upper()) != {"X"} or len(asked) > 16:
        raise NotEmulated(f"TO_NUMBER with the format {asked}")
    prefixed = exp.DPipe(this=exp.Literal.string("0x"), expression=exp.paren(text))
    return exp.cast(exp.cast(prefixed, exp.DataType.Type.UBIGINT), exp.DataType.build("decimal(38, 0)"))


def _md5_number(text: Expr, start: int) -> Expr:
    half = exp.Anonymous(this="substr", expressions=[exp.MD5(this=text), exp.Literal.number(start), exp.Literal.number(16)])
    return _parse_hexadecimal(half, "X" * 16)


def _text(value: str | None) -> Expr:
    return exp.Literal.string(value) if value is not None else exp.Null()
