"""The rows of the sabotaged tables, as SQL: what is loaded first (``MAKE_``), and what becomes of it then (``CHANGE_``)."""

# Every kind of value that a pipeline has ever spoilt. `updated_at` has ties, which cross the ends of chunks.
_ORDERS = (
    "region text, id int, n int, m int, big bigint, price numeric(12, 4), amount numeric(30, 10), f8 double precision, zero real, ok bool, "
    "name text, city varchar(40), raw bytea, day date, far date, clock time, instant timestamptz, doc json, list int[], mood mood, "
    "span interval, email text, updated_at timestamptz, primary key (region, id)"
)
_ORDER = (
    "(array['eu', 'EU', 'us'])[i % 3 + 1], i / 3, i, -i, i * 3000000000, i + 0.1234, ('1234567890123456' || i || '.0123456789')::numeric, "
    "i / 3.0, case when i % 5 = 0 then '-0'::real else i::real end, i % 2 = 0, 'Zoë ' || i || ' ', case when i % 4 < 2 then '' end, "
    "decode('61007e0a', 'hex'), date '2025-03-01' + i, case when i % 5 = 0 then '12026-01-01' else '2026-01-01' end::date, "
    "case when i % 5 = 0 then '24:00' else '10:00:00.123456' end::time, timestamptz '2025-03-29 00:30:00.123456+00' + i * interval '1 h', "
    "'{\"a\":  1, \"b\": null}', array[i, null, 3], case when i % 2 = 0 then 'sad' else 'glad' end::mood, "
    "case when i % 2 = 0 then '1 mon' else '30 days' end::interval, 'customer' || i || '@example.com'"
)
MAKE_ORDERS = (
    "create type mood as enum ('sad', 'glad')",
    f"create table orders ({_ORDERS})",
    f"insert into orders select {_ORDER}, '2025-03-01'::timestamptz + i / 3 * interval '1 s' from generate_series(1, 60) i",
    "update orders set updated_at = null where n in (7, 8, 9)",
)
CHANGE_ORDERS = (
    "update orders set m = m - 1000, city = null, ok = not ok, updated_at = '2025-03-02'::timestamptz + id * interval '1 s' where n <= 30",
    f"insert into orders select {_ORDER}, '2025-03-03'::timestamptz + i / 3 * interval '1 s' from generate_series(61, 90) i",
    "insert into orders (region, id, n, updated_at) values ('eu', 1000, 1000, '2025-03-04'), ('us', 1001, 1001, null)",
    # No type of the warehouse holds these; both rows go to quarantine.
    "update orders set price = 'NaN' where n = 12",
    "update orders set day = 'infinity' where n = 70",
    "update orders set updated_at = null where n = 13",
)

MAKE_ACCOUNTS = (
    "create table accounts (id int primary key, n int, updated_at timestamptz)",
    "insert into accounts select i, i, '2025-03-01'::timestamptz + i * interval '1 s' from generate_series(1, 60) i",
)
CHANGE_ACCOUNTS = (
    "delete from accounts where id in (5, 6)",
    "update accounts set n = 1000 where id in (20, 21)",  # behind the cursor, so that only the comparison can find them
    "insert into accounts select i, i, '2025-03-02'::timestamptz + i * interval '1 s' from generate_series(61, 70) i",
)

# The first hour of a day in Berlin is the last one of the day before in UTC.
_EVENT = "i, timestamptz '2026-03-01 00:30+01' + i * interval '2 h', i"
MAKE_EVENTS = (
    "create table events (id int primary key, occurred_at timestamptz, n int)",
    f"insert into events select {_EVENT} from generate_series(0, 95) i",  # to the end of 8 March
    "insert into events values (1000, null, 1), (1001, null, 2), (1003, '2026-03-07 00:40+01', 4)",
)
CHANGE_EVENTS = (
    f"insert into events select {_EVENT} from generate_series(96, 107) i",  # 9 March, yesterday
    "insert into events values (1002, null, 3), (2000, '2026-03-07 10:00+01', 1)",  # the second one is late
    "insert into events values (2001, '2026-03-09 23:30+01', 1), (2002, '2026-03-10 00:30+01', 1)",  # the second one is today's
    "update events set n = n + 1000 where id in (75, 84, 86, 1000)",
    "delete from events where id in (72, 85, 1001)",  # 72 is the first of 7 March, the first day that is looked at again
)

MAKE_STOCK = (
    "create table stock (sku text primary key, n int, ok bool, label text, weight numeric(30, 10))",
    "insert into stock select 'sku ' || i, i, i % 2 = 0, 'shelf ' || i, 0.1 * i from generate_series(1, 40) i",
)
CHANGE_STOCK = (
    "update stock set n = n + 1000 where n <= 10",
    "update stock set label = null where n in (20, 21)",
    "delete from stock where n in (15, 16)",
    "insert into stock select 'sku ' || i, i, i % 2 = 0, '', 0.1 * i from generate_series(41, 50) i",
)

MAKE_LINES = (
    "create table lines (item text, n int, ok bool)",
    "insert into lines select 'item ' || i / 2 || ' ', i / 2, true from generate_series(1, 40) i",  # each row twice
)
CHANGE_LINES = ("delete from lines where n = 5", "insert into lines select 'new ', i / 2, false from generate_series(100, 119) i")
