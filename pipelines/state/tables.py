"""The mirror's tables. What is copied from the warehouse can be rebuilt; attempts, verdicts and builds live only here."""

import hashlib

import sqlalchemy as sa

metadata = sa.MetaData()

layout = sa.Table("layout", metadata, sa.Column("digest", sa.String, nullable=False))

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("warehouse_id", sa.String, nullable=False),
    sa.Column("place", sa.String, nullable=False),  # where it was when it was asked last
    sa.Column("cleaned_at", sa.String),  # when what is old was deleted from the warehouse last
)

# One row per table of the catalog: its committed state, and what happened since.
tables = sa.Table(
    "tables",
    metadata,
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("load_id", sa.String),
    sa.Column("pending_load", sa.String),  # one that was about to commit, of which nothing was heard since
    sa.Column("watermark", sa.JSON),
    sa.Column("schema_version", sa.Integer),
    sa.Column("schema", sa.JSON),
    sa.Column("total_rows", sa.BigInteger),
    sa.Column("quarantined_open", sa.BigInteger),
    sa.Column("committed_at", sa.String),
    sa.Column("data_as_of", sa.String),  # the source's time at which the warehouse was equal to it
    sa.Column("checked_at", sa.String),
    sa.Column("held_reason", sa.Text),
    sa.Column("held_at", sa.String),
    sa.Column("held_load_id", sa.String),
    sa.Column("held_since", sa.String),
    sa.Column("held_mornings", sa.Integer),
    sa.Column("held_morning", sa.String),  # the project's day on which it was held last
    sa.Column("seen_first", sa.String),  # the days that the source had when it was looked at last, and that were over: half-open
    sa.Column("seen_end", sa.String),
)

# What schemas the table had, as far as they were committed.
schema_versions = sa.Table(
    "schema_versions",
    metadata,
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("schema", sa.JSON, nullable=False),
    sa.Column("changes", sa.JSON, nullable=False),  # since the version before, as sentences
    sa.Column("recorded_at", sa.String, nullable=False),
)

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("approval", sa.String, primary_key=True),
)

days = sa.Table(
    "days",
    metadata,
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),  # ISO; empty for rows that are in no day
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
)

# The last comparison of each table with its source: numbers, no keys.
parity = sa.Table(
    "parity",
    metadata,
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("result", sa.JSON, nullable=False),
)

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("load_id", sa.String, primary_key=True),
    sa.Column("table_id", sa.String, nullable=False, index=True),
    sa.Column("committed_at", sa.String, nullable=False, index=True),
    sa.Column("entry", sa.JSON, nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("attempt_id", sa.String, primary_key=True),
    sa.Column("table_id", sa.String, nullable=False, index=True),
    sa.Column("run_id", sa.String),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("heartbeat_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String),
    sa.Column("phase", sa.String, nullable=False),
    sa.Column("rows_read", sa.BigInteger, nullable=False, default=0),
    sa.Column("outcome", sa.String),
    sa.Column("error", sa.Text),
    sa.Column("process", sa.String, nullable=False),
    sa.Column("is_backfill", sa.Boolean, nullable=False),  # which waits for the others
)

# Days that were asked for again, and how far that is. See ``backfills.Backfill``.
backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("backfill_id", sa.String, primary_key=True),
    sa.Column("table_id", sa.String, nullable=False, index=True),
    sa.Column("first_day", sa.String, nullable=False),
    sa.Column("end_day", sa.String, nullable=False),
    sa.Column("next_day", sa.String, nullable=False),
    sa.Column("began_day", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run_id", sa.String),
    sa.Column("process", sa.String, nullable=False),
    sa.Column("requested_at", sa.String, nullable=False),
    sa.Column("began_at", sa.String, nullable=False),
    sa.Column("heartbeat_at", sa.String, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("share", sa.Float),
    sa.Column("note", sa.Text, nullable=False),
)

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("subject", sa.String, nullable=False, index=True),
    sa.Column("check_name", sa.String, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("on_failure", sa.String, nullable=False),
    sa.Column("numbers", sa.JSON, nullable=False),
    sa.Column("batch", sa.String, nullable=False),  # the load or build that was judged
    sa.Column("judged_at", sa.String, nullable=False),
)

# One row per dbt model: the inputs of its last good build, so that an unchanged one can be left alone.
builds = sa.Table(
    "builds",
    metadata,
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("inputs", sa.String),
    sa.Column("built_at", sa.String),
    sa.Column("status", sa.String, nullable=False),  # built, failed or left_out
    sa.Column("reason", sa.Text),
    sa.Column("noted_at", sa.String, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery", sa.String, primary_key=True),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("inputs", sa.String, nullable=False),
    sa.Column("data_as_of", sa.String),
    sa.Column("published_at", sa.String),
    sa.Column("status", sa.String, nullable=False),  # published, unchanged, kept (the last good one) or none (there never was one)
    sa.Column("stale_since", sa.String),
    sa.Column("reason", sa.Text),
)

# What a run did to each table, for the report and for what `daybreak run` prints. One row per run and table.
results = sa.Table(
    "results",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("table_id", sa.String, primary_key=True),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("numbers", sa.JSON, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("noted_at", sa.String, nullable=False),
)


# Copied from one warehouse: void with another.
COPIES = (tables, schema_versions, approvals, days, parity, ledger, builds, deliveries, identity)


def layout_digest() -> str:
    """Return a hash of these tables, by which a mirror of another release is known."""
    described = sorted(f"{table.name}.{column.name} {column.type}" for table in metadata.tables.values() for column in table.columns)
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]
