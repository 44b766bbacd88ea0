"""Reads production databases. ``open_source`` picks the implementation by the URL's scheme."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import ConfigError
from pipelines.sync.protocols import Source

READS = "postgresql://"


@contextmanager
def open_source(name: str, url: str, max_snapshot_seconds: float = 900) -> Iterator[Source]:
    """Yield the source behind ``url``; nothing is connected before the first question. Raises ``ConfigError`` for other schemes."""
    if not url.startswith(("postgresql://", "postgres://")):
        scheme = url.partition("://")[0] if "://" in url else "(none)"
        raise ConfigError(
            [f"Source `{name}`: the URL's scheme is {scheme}; supported: {READS}"],
            safe="Nothing was read.",
            remedy=f"Give a URL such as {READS}user:password@host:5432/database",
        )
    if url.partition("://")[2].partition("/")[0].count("@") > 1:
        # libpq would take the rest of the password for a host, and print it.
        raise ConfigError(
            [f"Source `{name}`: the URL has more than one @ before the host."],
            safe="Nothing was read.",
            remedy="Write an @ in a user or a password as %40.",
        )
    from pipelines.sources.postgres import PostgresSource

    source = PostgresSource(name, url, max_snapshot_seconds)
    try:
        yield source
    finally:
        source.close()
