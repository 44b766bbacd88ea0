"""What the facts about a source's server mean for a sync. Pure: the facts were fetched by ``sources.postgres_health``."""

from collections.abc import Iterator

from pipelines.doctor.finding import Finding, State
from pipelines.sources.postgres_health import OLDEST_VERSION, PoolerFacts, ServerFacts, SourceFacts
from pipelines.sync.horizon import MAX_OVERLAP
from pipelines.sync.spec import SourceSpec

CLOCK_SECONDS = 5.0
LONG_SECONDS = 3600.0
CHUNK_SECONDS = 60.0  # a chunk takes seconds; on a slow disk or a busy morning it may take this
IDLE_SECONDS = 10.0  # between two statements of one transaction lies next to nothing, unless this machine is starved
SHOWN_TRANSACTIONS = 3


def check_server(spec: SourceSpec, facts: SourceFacts) -> list[Finding]:
    """Judge the server: version, role, encryption, pooler, guarantee, limits, clock, and what is open on it now."""
    area, server = f"source {spec.name}", facts.server
    reached = f"PostgreSQL {server.version}, database `{server.database}`, user `{server.username}`"
    if server.version_number < OLDEST_VERSION:
        return [Finding(area, "server", "problem", f"{reached}: versions before 12 are not supported", "Upgrade the server.")]
    findings = [
        Finding(area, "server", "ok", reached),
        _encryption(area, server),
        _role(area, spec, server),
        _pooler(area, facts.pooler),
        _guarantee(area, server),
        *_privileges(area, server),
        _connections(area, spec, server),
        *_timeouts(area, spec, server),
        _clock(area, facts),
        *_open_transactions(area, facts),
    ]
    if facts.trouble:
        wrong = f"the tables could not be looked at: {facts.trouble}"
        findings.append(Finding(area, "tables", "problem", wrong, "End what locks the catalog, or what the message names, and ask again."))
    return findings


def _encryption(area: str, server: ServerFacts) -> Finding:
    if server.is_encrypted:
        return Finding(area, "encryption", "ok", "TLS")
    if server.is_local:
        return Finding(area, "encryption", "ok", "none, and none is needed: a socket of this machine")
    return Finding(area, "encryption", "note", "no TLS: rows and user cross the network in the clear", "Add sslmode=require to the URL.")


def _role(area: str, spec: SourceSpec, server: ServerFacts) -> Finding:
    if not server.is_standby:
        return Finding(area, "role", "ok", "primary")
    blind = "a standby does not show the transactions that are open on its primary"
    remedy = "Read from the primary, or declare the incremental tables as partitioned or snapshot."
    if names := [table.name for table in spec.tables if table.mode == "incremental"]:
        lost = (
            f"{blind}: rows that they commit after a sync, below its watermark, would be lost, so these are not synced: {', '.join(names)}"
        )
        return Finding(area, "role", "problem", lost, remedy)
    told = f"{blind}; here that only bounds how late the rows of a partitioned table are found, and a long read may be ended by recovery"
    return Finding(area, "role", "note", told, "Raise max_standby_streaming_delay if reads are ended.")


def _pooler(area: str, pooler: PoolerFacts) -> Finding:
    remedy = "Give the URL of the server itself, or of a pool in session mode."
    breaks = (
        "the session's settings (row_security = off, UTC, read only) get lost or reach other programs, so rows may be missing in silence"
    )
    if len(set(pooler.session_pids)) > 1:
        proof = "one connection was served by different processes of the server"
    elif pooler.other_pid in pooler.session_pids:
        proof = "two connections were served by one process of the server"
    elif not pooler.keeps_settings:
        proof = "what the session had set was gone in its next transaction"
    else:
        proof = ""
    if proof:
        return Finding(area, "pooler", "problem", f"a proxy that pools by transaction: {proof}; {breaks}", remedy)
    if pooler.announced_pid is None:
        return Finding(area, "pooler", "note", "could not tell: no second connection was to be had", "Free a connection, and ask again.")
    if pooler.announced_pid != pooler.other_pid:
        told = f"a proxy answers in the server's place; if it pools by transaction (this time it did not), {breaks}"
        return Finding(area, "pooler", "warning", told, remedy)
    return Finding(area, "pooler", "ok", "none: the server itself answers")


def _guarantee(area: str, server: ServerFacts) -> Finding:
    subject = "open transactions"
    if server.is_standby:
        return Finding(area, subject, "note", "no guarantee: those of the primary cannot be seen from here (see role)")
    if server.sees_starts and not server.hides_activity:
        exact = "exact: each one's start is visible, and the next load reads again from the oldest start; no row is lost"
        return Finding(area, subject, "ok", exact)
    why = "track_activities is off for some sessions" if server.sees_starts else "the starts of other users' are hidden"
    remembered = (
        f"by remembered virtual transaction ids, as {why}: no row is lost, but the next load reads "
        "again from the last sync that had not seen them, or everything if there is none"
    )
    grants = [] if server.sees_starts else [f"GRANT pg_read_all_stats TO {_name(server)};"]
    grants += ["set track_activities = on, also for the roles and databases that set it off."] if server.hides_activity else []
    return Finding(area, subject, "note", remembered, f"For exact bounds: {' And '.join(grants)}")


def _privileges(area: str, server: ServerFacts) -> Iterator[Finding]:
    if server.hidden_views:
        hidden = f"may not read {server.hidden_views}: open transactions cannot be seen, so no incremental sync starts"
        yield Finding(area, "system views", "problem", hidden, f"GRANT SELECT ON {server.hidden_views} TO {_name(server)};")
    if not server.knows_identity:
        hidden = "may not call pg_control_system(), by which a restored or replaced database is known"
        yield Finding(area, "identity", "problem", hidden, f"GRANT EXECUTE ON FUNCTION pg_control_system() TO {_name(server)};")


def _connections(area: str, spec: SourceSpec, server: ServerFacts) -> Finding:
    limits = {
        "max_connections": server.free_connections,
        "the user's limit": server.free_of_role,
        "the database's": server.free_of_database,
    }
    limit, left = min(((name, count) for name, count in limits.items() if count is not None), key=lambda pair: pair[1])
    free = max(left, 0) + 1  # the one that asks is counted too, and is free again
    if free >= spec.max_connections:
        return Finding(area, "connections", "ok", f"{free:,} free, at most {spec.max_connections} are used")
    short = f"{free} free ({limit}), and a sync opens up to {spec.max_connections}"
    remedy = "Lower `max_connections` in the catalog, or raise the server's limit."
    return Finding(area, "connections", "warning", short, remedy)


def _timeouts(area: str, spec: SourceSpec, server: ServerFacts) -> Iterator[Finding]:
    limits = (
        ("statement_timeout", server.statement_timeout_ms, CHUNK_SECONDS),
        ("transaction_timeout", server.transaction_timeout_ms, CHUNK_SECONDS),
        ("idle_in_transaction_session_timeout", server.idle_timeout_ms, IDLE_SECONDS),
    )
    for name, milliseconds, needed in limits:
        if milliseconds and milliseconds < needed * 1000:
            short = f"{milliseconds / 1000:g} s for this user: a chunk may take {needed:g} s, and a table without a unique key longer"
            yield Finding(area, name, "warning", short, f"ALTER ROLE {_name(server)} SET {name} = 0; the sync has limits of its own.")


def _clock(area: str, facts: SourceFacts) -> Finding:
    ahead, error = facts.clock_ahead_seconds, facts.clock_error_seconds
    if abs(ahead) <= CLOCK_SECONDS + error:
        return Finding(area, "clock", "ok", f"within {max(abs(ahead) + error, 0.1):.1f} s of this machine's")
    told = f"{abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's: which days are over is decided by this one"
    state: State = "problem" if abs(ahead) > MAX_OVERLAP.total_seconds() else "warning"
    return Finding(area, "clock", state, told, "Synchronise both clocks (NTP).")


def _open_transactions(area: str, facts: SourceFacts) -> Iterator[Finding]:
    long = [found for found in facts.open_transactions if found.seconds > LONG_SECONDS]
    for found in long[:SHOWN_TRANSACTIONS]:
        what = "prepared transaction" if found.is_prepared else "transaction of"
        held = f"{what} {found.name} has been open for {_duration(found.seconds)}: each load reads again from before its start"
        remedy = "COMMIT PREPARED or ROLLBACK PREPARED it." if found.is_prepared else "Commit it, or end the session."
        yield Finding(area, "open now", "warning", held, remedy)
    if len(long) > SHOWN_TRANSACTIONS:
        yield Finding(area, "open now", "note", f"{len(long) - SHOWN_TRANSACTIONS} more transactions are open for over an hour")
    if not long:
        hidden = "" if facts.server.sees_starts else " that this user may see"
        yield Finding(area, "open now", "ok", f"no transaction{hidden} is older than an hour")
    if facts.server.max_prepared:
        told = f"max_prepared_transactions is {facts.server.max_prepared}: one that stays prepared holds every load back to before it"
        yield Finding(area, "prepared", "note", told)


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _name(server: ServerFacts) -> str:
    return '"' + server.username.replace('"', '""') + '"'
