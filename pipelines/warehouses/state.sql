-- The truth: written only in the transaction of the load it tells about, readable by anybody with SQL.
-- What is in braces the dialect says.
create schema if not exists daybreak;

-- Made with its one row: of several sessions that come first, one makes it.
{create} if not exists daybreak.warehouse
as select cast({new_id} as varchar) as warehouse_id, cast(current_timestamp as {instant}) as created_at;

-- One row per committed load, insert only. window_spec, counts, files and schema are JSON.
{create} if not exists daybreak.ledger (
    load_id varchar not null,
    source_name varchar not null,
    table_name varchar not null,
    mode varchar not null,
    window_spec {json} not null,
    rows_read bigint not null,
    rows_inserted bigint not null,
    rows_updated bigint not null,
    rows_unchanged bigint not null,
    rows_superseded bigint not null,
    rows_quarantined bigint not null,
    rows_deleted bigint not null,
    total_rows bigint not null,
    quarantined_open bigint not null,
    chunks integer not null,
    bytes bigint not null,
    files {json} not null,
    schema_version integer not null,
    token bigint not null,
    planned_at {instant} not null,
    data_as_of {instant} not null,
    committed_at {instant} not null,
    released_by varchar,
    statements bigint -- that were run for it, up to the COMMIT
);
alter table daybreak.ledger add column if not exists statements bigint;

-- Where each table stands, who may move it on (token), and what was observed of the source (JSON).
{create} if not exists daybreak.watermarks (
    source_name varchar not null,
    table_name varchar not null,
    token bigint not null,
    load_id varchar,
    watermark {json},
    committed_at {instant}
);

-- One row per committed day of a partitioned table; load_id changes when the day's content does.
{create} if not exists daybreak.windows (
    source_name varchar not null,
    table_name varchar not null,
    day date,
    row_count bigint not null,
    digest varchar not null,
    load_id varchar not null,
    committed_at {instant} not null
);

{create} if not exists daybreak.schema_versions (
    source_name varchar not null,
    table_name varchar not null,
    version integer not null,
    state varchar not null, -- done
    table_schema {json} not null,
    load_id varchar not null,
    recorded_at {instant} not null,
    changes {json} -- what had changed since the version before: an array of sentences
);
alter table daybreak.schema_versions add column if not exists changes {json};

-- Who allowed which changes of a table's schema; insert only.
{create} if not exists daybreak.approvals (
    source_name varchar not null,
    table_name varchar not null,
    approval varchar not null, -- of just these changes, from just this schema
    changes {json} not null,
    approved_by varchar not null,
    approved_at {instant} not null
);

-- What columns of raw tables were called before their source renamed them, so that models which still say it can be built.
{create} if not exists daybreak.former_names (
    source_name varchar not null,
    table_name varchar not null,
    former_name varchar not null,
    current_name varchar not null
);

{create} if not exists daybreak.quarantine (
    source_name varchar not null,
    table_name varchar not null,
    key varchar, -- JSON array of the key's values as text
    column_name varchar not null,
    reason varchar not null,
    original varchar not null, -- JSON of the row as text, after masks
    day date,
    load_id varchar not null,
    state varchar not null, -- open, fixed or replayed
    quarantined_at {instant} not null,
    closed_at {instant},
    stale_load_id varchar -- the load whose older version of the row stands in the raw table; NULL: none does
);
alter table daybreak.quarantine add column if not exists stale_load_id varchar;

-- Each bucket of a table as it was compared last. Digests are sums of 60-bit numbers, as text; checked_at: when the source hashed it.
{create} if not exists daybreak.parity (
    source_name varchar not null,
    table_name varchar not null,
    bucket varchar not null,
    source_rows bigint,
    warehouse_rows bigint,
    source_digest varchar,
    warehouse_digest varchar,
    checked_at {instant} not null
);

-- Deleted values that the store may still keep: in unused blocks of its file, or for time travel. `erased_at`: that was ended, but a model
-- on the table may have kept them since; the row goes when it is ended after all models were built.
{create} if not exists daybreak.traces (
    source_name varchar not null,
    table_name varchar not null,
    noted_at {instant} not null,
    erased_at {instant}
);

-- One row per request to forget rows. Which rows they were is not kept: that would be remembering them.
{create} if not exists daybreak.forgotten (
    source_name varchar not null,
    table_name varchar not null,
    keys bigint not null,
    load_id varchar not null,
    forgotten_by varchar not null,
    quarantine_entries bigint not null,
    forgotten_at {instant} not null
);

-- One row per comparison of a table with its source, insert only. Which keys differed is not kept: a key may have to be forgotten.
{create} if not exists daybreak.reconciliations (
    source_name varchar not null,
    table_name varchar not null,
    outcome varchar not null, -- equal, differs or held
    source_rows bigint not null,
    warehouse_rows bigint not null,
    rows_missing bigint not null,
    rows_extra bigint not null,
    rows_different bigint not null,
    result {json} not null, -- all numbers, and what was told
    compared_at {instant} not null -- the source's time
);
