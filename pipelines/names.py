"""Words in names, however they are written, and names made from other names. Pure."""

import re
import unicodedata

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
OLDER = "_before_v"  # and a schema version: what a raw table or a column of it was before its values could not stay under its name
BESIDE = "_daybreak_"  # and a token: the copy of a raw table that a load is made in
MAX_NAME = 63  # of a source: what the catalog takes


def split_words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``FirstName``, ``first_name`` and ``FIRST-NAME`` are two words."""
    plain = unicodedata.normalize("NFKD", name)
    return tuple(word.lower() for word in _WORD.findall("".join(char for char in plain if not unicodedata.combining(char))))


def list_words(text: str) -> frozenset[str]:
    """Return the words of a text: a long list reads better as one."""
    return frozenset(text.split())


def first_name(name: str) -> str:
    """Return what a column or a table was called before it was kept as an older one; a name that is no older one's is its own."""
    return re.sub(rf"{OLDER}\d+$", "", name, flags=re.IGNORECASE)


def find_namesake(name: str) -> str | None:
    """Return the table of which ``name`` would be an older one, or a copy, by its name alone."""
    found = re.fullmatch(rf"(.+)(?:{OLDER}|{BESIDE})\d+", name, flags=re.IGNORECASE | re.DOTALL)
    return found[1] if found else None


def make_singular(word: str) -> str:
    """Return the word without its plural ending, roughly: it is compared with words that went the same way, never shown."""
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word


def make_slug(name: str) -> str:
    """Return ``name`` in snake case, fit for a file, a model and a column: letters, digits and ``_``, and no digit first.

    A name that is plain already stays as it is. One without a Latin letter becomes ``u`` and its characters' numbers.
    """
    return name if _PLAIN.fullmatch(name) else _join_words(name)


def make_asset_name(table: str) -> str:
    """Return the last part of a raw table's asset key: Dagster takes ASCII letters, digits and ``_`` only."""
    return table if re.fullmatch(r"[A-Za-z0-9_]+", table, re.ASCII) else make_slug(table)


def make_source_name(database: str) -> str:
    """Return a source's name for a database: it stands in schemas, assets and file names."""
    return _join_words(database)[:MAX_NAME]


def make_url_variable(source: str) -> str:
    """Return the environment variable in which a source's URL is looked for."""
    return f"{source.upper()}_DATABASE_URL"


def _join_words(name: str) -> str:
    joined = "_".join(split_words(name)) or "u" + "_".join(f"{ord(char):x}" for char in name)
    return joined if joined[0].isalpha() else f"n_{joined}"
