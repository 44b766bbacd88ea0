"""Errors as Snowflake words and numbers them."""

import re

import duckdb

from tests.snowflake.double.names import decode_text


class SqlError(Exception):
    """What a session is told: a number, an SQLSTATE and a message."""

    def __init__(self, number: int, state: str, message: str) -> None:
        super().__init__(message)
        self.number, self.state, self.message = number, state, message


class NotEmulated(SqlError):
    """The double cannot do what Snowflake would. It says so rather than answer wrongly."""

    def __init__(self, what: str) -> None:
        super().__init__(999000, "XX000", f"The double of Snowflake does not emulate this: {what}.")


def missing(kind: str, name: str) -> SqlError:
    return SqlError(2003, "42S02", f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.")


def missing_column(name: str) -> SqlError:
    return SqlError(904, "42000", f"SQL compilation error:\ninvalid identifier '{name}'")


def existing(name: str) -> SqlError:
    return SqlError(2002, "42710", f"SQL compilation error:\nObject '{name}' already exists.")


def unparsed(message: str) -> SqlError:
    return SqlError(1003, "42000", f"SQL compilation error:\n{message}")


def translate_error(error: Exception) -> SqlError:
    """Return Snowflake's error for one of DuckDB's; one that has no like there names the double."""
    text = decode_text(str(error)).split("\n")[0]
    match error:
        case SqlError():
            return error
        case duckdb.CatalogException():
            return _catalog(text)
        case duckdb.BinderException():
            return _binder(text)
        case duckdb.ParserException():
            return unparsed(text)
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return _conversion(text)
        case duckdb.ConstraintException() if "NOT NULL" in text:
            return SqlError(100072, "22000", f"NULL result in a non-nullable column: {text}")
        case duckdb.InvalidInputException() if "Division by zero" in text:
            return SqlError(100051, "22012", "Division by zero")
        case duckdb.InvalidInputException() if "document is too large" in text:
            return SqlError(100069, "22P02", "Error parsing JSON: document is too large, max size 16777216 bytes")
        case duckdb.InvalidInputException() if "cannot affect the same target row" in text:
            return NotEmulated("MERGE that deletes one row for two of the source")
        case duckdb.InterruptException():
            return SqlError(604, "57014", "SQL execution canceled")
    return SqlError(999001, "XX000", f"The double of Snowflake failed: {type(error).__name__}: {text}")


def _catalog(text: str) -> SqlError:
    name = next(iter(re.findall(r"(?:name|Name|Function with name|entry) \"?([^\"!]+?)\"?(?: does| already|!)", text)), text)
    if "already exists" in text:
        return existing(name)
    if "Function" in text:
        return SqlError(2140, "42601", f"SQL compilation error:\nUnknown function {name.upper()}")
    return missing("Schema" if "Schema" in text else "Object", name)


def _binder(text: str) -> SqlError:
    names = re.findall(r'(?:column|Column|named) "([^"]+)"', text)
    if names and ("not found" in text or "does not have a column" in text or "does not exist" in text):
        return missing_column(names[0])
    if "does not exist" in text and "atalog" in text:
        return missing("Database", text)
    return SqlError(2000, "42000", f"SQL compilation error:\n{text}")


def _conversion(text: str) -> SqlError:
    value = next(iter(re.findall(r"['\"]([^'\"]*)['\"]", text)), text)
    lowered = text.lower()
    if any(word in lowered for word in ("timestamp", "date", "time ")):
        return SqlError(100035, "22007", f"Timestamp '{value}' is not recognized")
    if "bool" in lowered:
        return SqlError(100037, "22018", f"Boolean value '{value}' is not recognized")
    if "string" in lowered:
        return SqlError(100038, "22018", f"Numeric value '{value}' is not recognized")
    return SqlError(100039, "22003", f"Numeric value '{value}' is out of range")
