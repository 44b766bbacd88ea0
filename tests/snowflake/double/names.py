"""Snowflake's names, where case matters, as names of DuckDB, where it does not.

A name with a lower-case letter is written with a mark at its end that says which of its letters are capitals: ``orders`` is kept as
``orders~``, ``Orders`` as ``Orders~1``, ``ORDERS`` as itself. So ``"orders"`` and ``ORDERS`` are two tables, as on Snowflake, and a
statement that forgets its quotes fails here too.
"""

import re

_MARK = re.compile(r"~[0-9a-f]*$")
_MARKS = re.compile(r"(?<=[\w$ ])~[0-9a-f]*(?![\w~])")
DECODED = "regexp_replace({}, '~[0-9a-f]*$', '')"  # SQL of decode()

TEXT = r"(?:'(?:[^'\\]|''|\\.)*'|\$\$.*?\$\$)"  # a text in a statement

Table = tuple[str, str, str]  # database, schema and name, all encoded


def encode(name: str) -> str:
    if name == name.upper() and not _MARK.search(name):
        return name
    capitals = sum(1 << place for place, letter in enumerate(name) if letter != letter.lower())
    return f"{name}~{capitals:x}" if capitals else f"{name}~"


def decode(name: str) -> str:
    return _MARK.sub("", name)


def decode_text(text: str) -> str:
    """Return an error message of DuckDB with the names that the session knows."""
    return _MARKS.sub("", text)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_all(names: Table) -> str:
    return ".".join(map(quote, names))


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def parse_name(text: str) -> list[str]:
    """Return the encoded parts of a name as a statement spells it: ``"raw"."Orders"``, ``raw.orders``."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^".\s]+)', text)
    return [encode(quoted.replace('""', '"')) if quoted or not plain else encode(plain.upper()) for quoted, plain in parts]


def unquote_text(text: str) -> str:
    """Return the value of a ``TEXT``."""
    if text.startswith("$$"):
        return text[2:-2]
    return re.sub(r"\\(.)", r"\1", text[1:-1].replace("''", "'"))
