"""What may be said to the double: Snowflake's functions and syntax, not DuckDB's, which would run as well.

A function is Snowflake's if its name stands here; the names are from Snowflake's reference of functions. Of those, sqlglot and fakesnow
write some in DuckDB's words, and the rest pass as they are. A name that sqlglot knows and this list does not is refused; one that neither
knows is unknown to Snowflake too, or so the double says.
"""

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import Token, TokenType

from tests.snowflake.double.errors import NotEmulated, SqlError


class Named(Snowflake):
    """Snowflake's dialect, whose functions remember the name by which they were called."""

    ORIGINAL_NAME_META_KEY = "written"


_FUNCTIONS = """
    ABS ACOS ACOSH ASIN ASINH ATAN ATAN2 ATANH BITAND BITNOT BITOR BITSHIFTLEFT BITSHIFTRIGHT BITXOR CBRT CEIL COS COSH COT DEGREES DIV0
    DIV0NULL EXP FACTORIAL FLOOR LN LOG MOD PI POW POWER RADIANS RANDOM ROUND SIGN SIN SINH SQRT SQUARE TAN TANH TRUNC TRUNCATE UNIFORM
    WIDTH_BUCKET

    BOOLAND BOOLNOT BOOLOR BOOLXOR CASE COALESCE DECODE EQUAL_NULL GREATEST GREATEST_IGNORE_NULLS IFF IFNULL IS_NULL_VALUE LEAST
    LEAST_IGNORE_NULLS NULLIF NULLIFZERO NVL NVL2 ZEROIFNULL

    ASCII BASE64_DECODE_BINARY BASE64_DECODE_STRING BASE64_ENCODE BIT_LENGTH CHARINDEX CHR CONCAT CONCAT_WS CONTAINS EDITDISTANCE ENDSWITH
    HASH HEX_DECODE_BINARY HEX_DECODE_STRING HEX_ENCODE ILIKE INITCAP INSERT JAROWINKLER_SIMILARITY LEFT LEN LENGTH LIKE LOWER LPAD LTRIM
    MD5 MD5_BINARY MD5_HEX MD5_NUMBER_LOWER64 MD5_NUMBER_UPPER64 OCTET_LENGTH PARSE_URL POSITION REGEXP_COUNT REGEXP_INSTR REGEXP_LIKE
    REGEXP_REPLACE REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT RLIKE RPAD RTRIM SHA1 SHA1_BINARY SHA1_HEX SHA2 SHA2_BINARY SHA2_HEX SOUNDEX
    SPACE SPLIT SPLIT_PART STARTSWITH STRTOK STRTOK_TO_ARRAY SUBSTR SUBSTRING TRANSLATE TRIM UNICODE UPPER UUID_STRING

    CAST TO_ARRAY TO_BINARY TO_BOOLEAN TO_CHAR TO_DATE TO_DECIMAL TO_DOUBLE TO_JSON TO_NUMBER TO_NUMERIC TO_TIME TO_TIMESTAMP
    TO_TIMESTAMP_LTZ TO_TIMESTAMP_NTZ TO_TIMESTAMP_TZ TO_VARCHAR TO_VARIANT TRY_CAST TRY_TO_BINARY TRY_TO_BOOLEAN TRY_TO_DATE TRY_TO_DECIMAL
    TRY_TO_DOUBLE TRY_TO_NUMBER TRY_TO_NUMERIC TRY_TO_TIME TRY_TO_TIMESTAMP TRY_TO_TIMESTAMP_LTZ TRY_TO_TIMESTAMP_NTZ TRY_TO_TIMESTAMP_TZ

    ADD_MONTHS CONVERT_TIMEZONE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE DATEADD DATEDIFF DATEFROMPARTS DATE_FROM_PARTS DATE_PART
    DATE_TRUNC DAY DAYNAME DAYOFMONTH DAYOFWEEK DAYOFWEEKISO DAYOFYEAR EXTRACT GETDATE HOUR LAST_DAY LOCALTIME LOCALTIMESTAMP MINUTE MONTH
    MONTHNAME MONTHS_BETWEEN NEXT_DAY PREVIOUS_DAY QUARTER SECOND SYSDATE SYSTIMESTAMP TIME TIMEADD TIMEDIFF TIMESTAMPADD TIMESTAMPDIFF
    TIMESTAMP_FROM_PARTS TIMESTAMP_LTZ_FROM_PARTS TIMESTAMP_NTZ_FROM_PARTS TIMESTAMP_TZ_FROM_PARTS TIME_FROM_PARTS TIME_SLICE TRUNC WEEK
    WEEKISO WEEKOFYEAR YEAR YEAROFWEEK YEAROFWEEKISO

    ARRAYS_OVERLAP ARRAYS_ZIP ARRAY_AGG ARRAY_APPEND ARRAY_CAT ARRAY_COMPACT ARRAY_CONSTRUCT ARRAY_CONSTRUCT_COMPACT ARRAY_CONTAINS
    ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_FLATTEN ARRAY_GENERATE_RANGE ARRAY_INSERT ARRAY_INTERSECTION ARRAY_MAX ARRAY_MIN ARRAY_POSITION
    ARRAY_PREPEND ARRAY_REMOVE ARRAY_REMOVE_AT ARRAY_SIZE ARRAY_SLICE ARRAY_SORT ARRAY_TO_STRING CHECK_JSON FLATTEN GET GET_IGNORE_CASE
    GET_PATH IS_ARRAY JSON_EXTRACT_PATH_TEXT OBJECT_AGG OBJECT_CONSTRUCT OBJECT_CONSTRUCT_KEEP_NULL OBJECT_INSERT OBJECT_KEYS PARSE_JSON
    STRIP_NULL_VALUE TRY_PARSE_JSON TYPEOF

    ANY_VALUE APPROX_COUNT_DISTINCT APPROX_PERCENTILE APPROX_TOP_K AVG BITAND_AGG BITOR_AGG BITXOR_AGG BOOLAND_AGG BOOLOR_AGG BOOLXOR_AGG
    CORR COUNT COUNT_IF COVAR_POP COVAR_SAMP GROUPING GROUPING_ID HASH_AGG HLL KURTOSIS LISTAGG MAX MAX_BY MEDIAN MIN MIN_BY MODE
    PERCENTILE_CONT PERCENTILE_DISC REGR_AVGX REGR_AVGY REGR_COUNT REGR_INTERCEPT REGR_R2 REGR_SLOPE REGR_SXX REGR_SXY REGR_SYY SKEW STDDEV
    STDDEV_POP STDDEV_SAMP SUM VARIANCE VARIANCE_POP VARIANCE_SAMP VAR_POP VAR_SAMP

    CUME_DIST DENSE_RANK FIRST_VALUE LAG LAST_VALUE LEAD NTH_VALUE NTILE PERCENT_RANK RANK ROW_NUMBER

    CURRENT_ACCOUNT CURRENT_DATABASE CURRENT_REGION CURRENT_ROLE CURRENT_SCHEMA CURRENT_SCHEMAS CURRENT_SESSION CURRENT_USER CURRENT_VERSION
    CURRENT_WAREHOUSE LAST_QUERY_ID

    GENERATOR SEQ1 SEQ2 SEQ4 SEQ8 TABLE
"""
# Functions whose name the parser forgets, and that Snowflake has not, or not so.
_FORGOTTEN = """
    ARGMAX ARGMIN ARG_MAX ARG_MIN CONVERT GAP_FILL JSON_OBJECT JSON_OBJECTAGG JSON_TABLE MATCH NORMALIZE OPENJSON OVERLAY SAFE_CAST
    STRING_AGG TRY_CONVERT WEIGHT_STRING XMLELEMENT XMLTABLE IF
"""
_KNOWN, _LOST = frozenset(_FUNCTIONS.split()), frozenset(_FORGOTTEN.split())
_OPERATORS = frozenset({"==", "<=>", "->", "->>", "~~", "~~*", "!~~", "@>", "<@", "&&", "^@", "**", "&", "|", "^", "~", "<<", ">>"})
_OPERATIONS = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift, exp.BitwiseRightShift)
_CONSTRUCTS = {
    exp.Filter: "FILTER",
    exp.Lambda: "a lambda",
    exp.Array: "an array in brackets",
    exp.Struct: "an object in braces",
    exp.Map: "a map",
    exp.Concat: "two literals side by side",
    exp.Glob: "GLOB",
    exp.SimilarTo: "SIMILAR TO",
    exp.AtTimeZone: "AT TIME ZONE",
    exp.IntDiv: "the division of integers",
    exp.Pow: "an operator of powers",
    exp.Unnest: "UNNEST",
    exp.Returning: "RETURNING",
    exp.OnConflict: "ON CONFLICT",
    exp.Parameter: "$",
}
_TYPES = frozenset({"JSON", "JSONB", "INT128", "STRUCT", "MAP", "INTERVAL", "LIST"})


def check_tokens(tokens: list[Token]) -> None:
    """Raise for what the parser takes and forgets."""
    for place, token in enumerate(tokens):
        before = tokens[place - 1].token_type if place else TokenType.SEMICOLON
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER):
            continue
        word = token.text.upper()
        if word in _OPERATORS:
            raise NotEmulated(f"the operator {word}")
        if after and after.token_type == TokenType.L_PAREN and word in _LOST:
            raise NotEmulated(f"the function {word}")
        if word == "FROM" and before in (TokenType.SEMICOLON, TokenType.L_PAREN, TokenType.UNION, TokenType.ALIAS):
            raise NotEmulated("FROM before SELECT")
        if word == "USING" and after and after.text.upper() == "SAMPLE":
            raise NotEmulated("USING SAMPLE")


def check_words(root: Expr) -> None:
    """Raise for a function, a type or a construct that is not Snowflake's."""
    for node in root.walk():
        written = node.meta.get("written")
        if isinstance(node, exp.Anonymous):
            if node.name.upper() not in _KNOWN:
                raise SqlError(2140, "42601", f"SQL compilation error:\nUnknown function {node.name.upper()}.")
        elif written:
            if written.upper() not in _KNOWN:
                raise NotEmulated(f"the function {written.upper()}")
        elif what := _CONSTRUCTS.get(type(node)) or _odd(node):
            raise NotEmulated(what)


def _odd(node: Expr) -> str | None:
    match node:
        case exp.Table() if isinstance(node.this, exp.Literal):
            return "a file in place of a table"
        case exp.DataType() if node.this.name in _TYPES or (node.this.name in ("ARRAY", "OBJECT") and node.expressions):
            return f"the type {node.this.name}"
        case exp.Distinct() if node.args.get("on"):
            return "DISTINCT ON"
        case exp.Order() if isinstance(node.parent, exp.Func) and not isinstance(node.parent, exp.GroupConcat):
            return "ORDER BY among the arguments of a function"
        case exp.Tuple() if isinstance(node.parent, exp.Select):
            return "a row as a value"
        case exp.Select() if not node.expressions:
            return "SELECT of nothing"
        case exp.Join() if node.kind in ("SEMI", "ANTI") or node.args.get("method") in ("ASOF", "POSITIONAL"):
            return f"{node.kind or node.args['method']} JOIN"
        case exp.CTE() if node.args.get("materialized") is not None:
            return "MATERIALIZED"
        case exp.Offset() if isinstance(node.parent, exp.Select) and not node.parent.args.get("limit"):
            return "OFFSET without LIMIT"
        case exp.Insert() if node.args.get("alternative") or node.args.get("by_name"):
            return "another INSERT"
        case exp.LimitOptions() if node.args.get("percent"):
            return "a share of rows"
        case _ if isinstance(node, _OPERATIONS):
            return "an operator of bits"
    return None
