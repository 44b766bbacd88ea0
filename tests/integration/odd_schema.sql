-- A schema that nobody would design and somebody has: names, keys, types and relations of every kind.
create table plain (id int primary key, email text, "updatedAt" timestamptz not null default now());
create table "on" ("null" int primary key, "~" text, "1e3" text, "a: b" text, "# c" text);
create table "Ta ""ble's
2" ("Key" int, "K
2" text, v text, primary key ("Key", "K
2"));
create table ever (id bigint generated always as identity, at timestamptz not null, v text not null, primary key (id, at, v)) partition by range (at);
create table ever_2024 partition of ever for values from ('2024-02-03') to ('2025-01-01') partition by list (v);
create table ever_2024_a partition of ever_2024 for values in ('a');
create table ever_2024_b partition of ever_2024 default;
create table ever_2025 partition of ever for values from ('2025-01-01') to ('2026-01-01');
create table parent (id int primary key, v text);
create table child (extra text) inherits (parent);
create view a_view as select * from plain;
create materialized view a_copy as select * from plain;
create table nokey (a int, b text);
create table "Nokey" (a int, b text);
create table collide (id int primary key, "Name" text, name text, _load_id int, "ID" int unique);
create domain price as numeric(10, 2);
create type mood as enum ('sad', 'ok');
create table exotic (
    id uuid primary key default gen_random_uuid(), p price, m mood, r int4range, g int generated always as (1 + 1) stored, j jsonb,
    source_address inet, a text[], iv interval, pt point, created_at timestamptz not null
);
create table nothing ();
create table "日本語テーブル名前長いもの六十三ばいと" ("列" int primary key, "名前" text);
create table "Odd cols" (
    id int primary key, "order" int, "at" int, "select" int, "new
line" text, "a b" text, a_b text, "it's" text, "a{{b" text, "c%d" text, "quo""te" text, filename text, "$1" text, "Name" text, "values" text,
    "timestamp" timestamptz, "connect" text
);
comment on table "Odd cols" is 'Odd: {{ jinja }} and "quotes"
over lines';
comment on column "Odd cols"."a b" is 'a {% comment %}, with # and : in it';
insert into plain values (1, 'a@example.com'), (2, null);
insert into "on" values (1, 'x', 'y', 'z', 'w');
insert into "Ta ""ble's
2" values (1, 'a', 'b');
insert into ever (at, v) values ('2024-03-01', 'a'), ('2024-03-02', 'b'), ('2025-03-01', 'c');
insert into parent values (1, 'a');
insert into child values (1, 'b', 'c');
insert into nokey values (1, 'a'), (1, 'a');
insert into collide values (1, 'a', 'b', 1, 2);
insert into exotic (p, m, r, j, source_address, a, iv, pt, created_at)
values (1.5, 'sad', '[1,3)', '{"a": 1}', '10.0.0.1', array['x'], '1 day', '(1,2)', now());
insert into "日本語テーブル名前長いもの六十三ばいと" values (1, '太郎');
insert into "Odd cols" (id, "new
line", "a b", a_b) values (1, 'x', 'y', 'z');
do $$ begin
    execute 'create table wide (id int primary key, ' || (select string_agg('c' || i || ' int', ', ') from generate_series(1, 1599) i) || ')';
end $$;
insert into wide (id, c1599) values (1, 2);
