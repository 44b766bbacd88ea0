"""Expectation of an error by Snowflake's number."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def fails(number: int, words: str = "") -> Iterator[None]:
    """Expect the connector to raise error ``number``."""
    from snowflake.connector.errors import DatabaseError

    with pytest.raises(DatabaseError, match=words or None) as caught:
        yield
    assert caught.value.errno == number, caught.value
