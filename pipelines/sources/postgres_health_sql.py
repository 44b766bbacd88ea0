"""The SQL by which `daybreak doctor` asks a PostgreSQL about itself: catalogs and statistics only, never a table's rows."""

from pipelines.sources.postgres_sql import COLUMNS, UNIQUE_KEYS

# It works on versions that are too old for the rest, so that the version can be told.
SERVER = """
select current_setting('server_version_num')::int4 as version_number, current_setting('server_version')::text as version,
    current_database()::text as database, current_user::text as username, inet_client_addr() is null as is_local,
    coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as is_encrypted,
    pg_is_in_recovery() as is_standby, clock_timestamp() as now,
    exists (select from pg_roles where rolname = 'pg_read_all_stats' and pg_has_role(oid, 'usage')) as sees_starts,
    (select reset_val = 'off' from pg_settings where name = 'track_activities')
        or exists (select from pg_stat_activity where datname = current_database() and state = 'disabled')
        or exists (select from pg_db_role_setting, unnest(setconfig) setting where setting ~* '^track_activities=(of|f|n|0)')
        as hides_activity,
    -- the role's and the database's own settings, whatever this session has set
    coalesce((select reset_val from pg_settings where name = 'TimeZone'), 'UTC')::text as default_zone,
    (select reset_val::int8 from pg_settings where name = 'statement_timeout') as statement_timeout_ms,
    (select reset_val::int8 from pg_settings where name = 'idle_in_transaction_session_timeout') as idle_timeout_ms,
    (select reset_val::int8 from pg_settings where name = 'transaction_timeout') as transaction_timeout_ms,
    current_setting('max_prepared_transactions')::int4 as max_prepared,
    current_setting('max_connections')::int4 - current_setting('superuser_reserved_connections')::int4
        - coalesce(current_setting('reserved_connections', true), '0')::int4
        - (select count(*) from pg_stat_activity where datname is not null)::int4 as free_connections,
    (select nullif(rolconnlimit, -1) - (select count(*) from pg_stat_activity where usename = current_user)::int4
     from pg_roles where rolname = current_user)::int4 as free_of_role,
    (select nullif(datconnlimit, -1) - (select count(*) from pg_stat_activity where datname = current_database())::int4
     from pg_database where datname = current_database())::int4 as free_of_database,
    (select string_agg(name, ', ') from unnest(array['pg_locks', 'pg_prepared_xacts', 'pg_stat_activity']) name
     where not has_table_privilege('pg_catalog.' || name, 'select'))::text as hidden_views,
    has_function_privilege('pg_catalog.pg_control_system()', 'execute') as knows_identity
"""

SESSION = """
select pg_backend_pid()::int4 as pid, current_setting('TimeZone') = 'UTC' and current_setting('row_security') = 'off'
    and current_setting('default_transaction_read_only') = 'on' as has_settings
"""

ACTIVITY = """
select 'session' as kind,
    application_name || ' (pid ' || pid || ', user ' || coalesce(usename, '?') || ', ' || coalesce(state, '?') || ')' as name,
    extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
    and backend_type is distinct from 'autovacuum worker'
union all
select 'prepared', '`' || gid || '` of ' || owner, extract(epoch from clock_timestamp() - prepared)::float8
from pg_prepared_xacts where database = current_database()
order by seconds desc limit 20
"""

# Sizes are the planner's: pg_relation_size() would wait for a table that somebody alters. So would much of COLUMNS, which is
# therefore asked only of tables whose `locked_by` is NULL.
RELATIONS = """
with recursive wanted(schema, name) as (values {names}), found as (
    select w.schema, w.name, n.oid as namespace, c.oid, c.relkind from wanted w
    left join pg_namespace n on n.nspname = w.schema
    left join pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
), tree(root, oid) as (
    select oid, oid from found where oid is not null
    union all select t.root, h.inhrelid from tree t join pg_inherits h on h.inhparent = t.oid
), sizes as (
    select t.root, sum(greatest(c.reltuples, 0)) as tuples, bool_and(c.reltuples < 0 or c.relpages = 0) as is_unknown,
        sum(c.relpages::int8 + coalesce(toast.relpages, 0)) * current_setting('block_size')::int8 as bytes
    from tree t join pg_class c on c.oid = t.oid left join pg_class toast on toast.oid = c.reltoastrelid
    where c.relkind in ('r', 'm') group by t.root
)
select f.schema::text as schema, f.name::text as name, f.oid::int8 as oid, f.relkind::text as kind, f.namespace is not null as has_schema,
    coalesce(has_schema_privilege(f.namespace, 'usage'), false) as may_enter,
    coalesce(row_security_active(f.oid), false) as is_row_secured,
    case when not s.is_unknown then s.tuples::int8 end as rows, coalesce(s.bytes, 0)::int8 as bytes,
    (select coalesce('pid ' || min(l.pid), 'a prepared transaction') from pg_locks l
     where l.locktype = 'relation' and l.relation = f.oid and l.mode = 'AccessExclusiveLock'
         and l.database = (select oid from pg_database where datname = current_database())
     having count(*) > 0)::text as locked_by,
    {trigger} as has_insert_trigger, {trigger} as has_update_trigger
from found f left join sizes s on s.root = f.oid
"""
_TRIGGER = """exists (select from pg_trigger t where t.tgrelid = f.oid and not t.tgisinternal and t.tgenabled <> 'D'
        and t.tgtype & 3 = 3 and t.tgtype & {bit} <> 0)"""
_FOR_INSERT, _FOR_UPDATE = 4, 16  # bits of tgtype; 3 is "for each row" and "before"


def relations_query(names: str) -> str:
    """Return the query of the tables in ``names``, a list of VALUES rows (schema, name)."""
    before, middle, after = RELATIONS.split("{trigger}")
    return before.format(names=names) + _TRIGGER.format(bit=_FOR_INSERT) + middle + _TRIGGER.format(bit=_FOR_UPDATE) + after


def columns_query(oids: str) -> str:
    """Return the query of the columns of ``oids`` (comma separated), with who may read them and what sequence feeds them."""
    return f"""
with wanted(oid) as (select unnest(array[{oids}]::oid[])), feeds(oid, number, sequence) as (
    select d.refobjid, d.refobjsubid, d.objid from pg_depend d
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
        and d.refobjid in (select oid from wanted)
    union
    select f.adrelid, f.adnum, d.refobjid from pg_attrdef f
    join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
    where f.adrelid in (select oid from wanted)
), caches as (
    select f.oid, f.number, max(s.seqcache)::int8 as cache
    from feeds f join pg_sequence s on s.seqrelid = f.sequence group by f.oid, f.number
)
select wanted.oid::int8 as oid, c.name, c.sql_name, c.base, c.owner, c.modifier, c.not_null, c.default_text,
    has_column_privilege(wanted.oid, c.number::int2, 'select') as is_readable, caches.cache
from wanted cross join lateral ({COLUMNS.format(oid="wanted.oid")}) c
left join caches on caches.oid = wanted.oid and caches.number = c.number
"""


def indexes_query(oids: str) -> str:
    """Return the query of what helps to find rows of ``oids``: unique keys, leading columns, and columns of partitioning."""
    return f"""
with wanted(oid) as (select unnest(array[{oids}]::oid[]))
select wanted.oid::int8 as oid, 'unique' as kind, u.columns from wanted cross join lateral ({UNIQUE_KEYS.format(oid="wanted.oid")}) u
union all
select i.indrelid::int8, 'ordered', a.attname::text
from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
where i.indisvalid and i.indpred is null and i.indrelid in (select oid from wanted)
union all
select p.partrelid::int8, 'ordered', a.attname::text from pg_partitioned_table p
join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
where p.partrelid in (select oid from wanted)
"""
