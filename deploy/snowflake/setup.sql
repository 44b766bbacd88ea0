-- What Daybreak needs in a Snowflake account. docs/snowflake.md tells the whole way; what is to be run once after the first load,
-- for those who read, is in readers.sql.
--
-- To be yours before you run it:
--   ANALYTICS                the database; it stands behind the account in DAYBREAK_WAREHOUSE_URL
--   DAYBREAK_…               roles, users, warehouses and the resource monitor
--   <…_PUBLIC_KEY>           one line of base64: a public key without its first and its last line
--   CREDIT_QUOTA, timeouts   what you are ready to pay for
--
-- It can be run again: what is there stays as it is, and so do keys and quotas that were changed since.
-- It is run by a person who has the roles that the USE ROLE lines name; Daybreak itself never has one of them.


-- ROLES. Loader and transformer stand apart, so that a person who builds models cannot write a raw table, and a process that only
-- loads (daybreak sync) cannot read a mart. `daybreak run` does both in one process, which has one URL, and that has one role: RUN has
-- both of them, and nothing else.
use role useradmin;

create role if not exists DAYBREAK_LOADER comment = 'Daybreak: owns schema daybreak and the raw tables';
create role if not exists DAYBREAK_TRANSFORMER comment = 'Daybreak: reads them, owns staging and marts';
create role if not exists DAYBREAK_READER comment = 'Daybreak: reads marts, and what is known of the loads';
create role if not exists DAYBREAK_RUN comment = 'Daybreak: loader and transformer in one, for daybreak run';

grant role DAYBREAK_LOADER to role DAYBREAK_RUN;
grant role DAYBREAK_TRANSFORMER to role DAYBREAK_RUN;

-- Without this nobody but an account administrator could mend what these roles own.
grant role DAYBREAK_RUN to role SYSADMIN;
grant role DAYBREAK_READER to role SYSADMIN;


-- WAREHOUSES. A load is many short statements, a build is few long ones: apart, each can have the size that it needs, and the bill says
-- which is which. A minute without work ends them; nobody has to start them. The timeout ends what would run all night: a load that it
-- ends has changed nothing, and is made anew.
use role sysadmin;

create warehouse if not exists DAYBREAK_LOADING with
    warehouse_size = XSMALL
    auto_suspend = 60
    auto_resume = TRUE
    initially_suspended = TRUE
    statement_timeout_in_seconds = 3600
    comment = 'Daybreak: loads and comparisons';
create warehouse if not exists DAYBREAK_TRANSFORMING with
    warehouse_size = XSMALL
    auto_suspend = 60
    auto_resume = TRUE
    initially_suspended = TRUE
    statement_timeout_in_seconds = 3600
    comment = 'Daybreak: models, tests and dashboards';


-- MONEY. An XSMALL warehouse uses one credit in an hour of work. NOTIFY writes to the account administrators who have switched that on;
-- SUSPEND lets what runs end, so that no load is cut; SUSPEND_IMMEDIATE does not. Monitors are made by account administrators only.
use role accountadmin;

create resource monitor if not exists DAYBREAK with
    credit_quota = 60
    frequency = MONTHLY
    start_timestamp = IMMEDIATELY
    triggers
        on 75 percent do notify
        on 100 percent do suspend
        on 110 percent do suspend_immediate;
alter warehouse DAYBREAK_LOADING set resource_monitor = DAYBREAK;
alter warehouse DAYBREAK_TRANSFORMING set resource_monitor = DAYBREAK;


-- THE DATABASE. Daybreak makes the schemas daybreak and raw_<source> itself, as it comes to know them. Those of the models are made
-- here, since another role owns them: a model in a third schema needs a line of its own here, and the grants of MARTS below.
use role sysadmin;

create database if not exists ANALYTICS comment = 'Daybreak: copies of production databases, and what is built on them';
create schema if not exists ANALYTICS.STAGING;
create schema if not exists ANALYTICS.MARTS;


-- GRANTS. A role that owns a schema may do everything in it; that is all that a load needs: temporary tables and stages, COPY, MERGE,
-- columns that come, and for columns that change a clone that takes the table's place, for which one must own the table.
use role securityadmin;

grant usage on warehouse DAYBREAK_LOADING to role DAYBREAK_LOADER;
grant usage on warehouse DAYBREAK_TRANSFORMING to role DAYBREAK_TRANSFORMER;
-- A BI tool that keeps a warehouse awake should have one of its own: grant that instead.
grant usage on warehouse DAYBREAK_TRANSFORMING to role DAYBREAK_READER;

grant usage on database ANALYTICS to role DAYBREAK_LOADER;
grant usage on database ANALYTICS to role DAYBREAK_TRANSFORMER;
grant usage on database ANALYTICS to role DAYBREAK_READER;

-- The loader: every schema but those of the models, and every table in it, whichever role made them. Without "future" they would
-- be owned by RUN when daybreak run makes them, and a process with the role of the loader alone could not load them.
grant create schema on database ANALYTICS to role DAYBREAK_LOADER;
grant ownership on future schemas in database ANALYTICS to role DAYBREAK_LOADER;
grant ownership on future tables in database ANALYTICS to role DAYBREAK_LOADER;

-- The transformer reads them. A load that changes columns makes a new table in the place of the old one, with what was granted on that
-- (COPY GRANTS).
grant usage on future schemas in database ANALYTICS to role DAYBREAK_TRANSFORMER;
grant select on future tables in database ANALYTICS to role DAYBREAK_TRANSFORMER;

-- The transformer owns what it builds. A grant on the future tables of a schema puts those of the database out of force there, so
-- the loader has nothing here.
grant ownership on schema ANALYTICS.STAGING to role DAYBREAK_TRANSFORMER copy current grants;
grant ownership on schema ANALYTICS.MARTS to role DAYBREAK_TRANSFORMER copy current grants;
grant ownership on future tables in schema ANALYTICS.STAGING to role DAYBREAK_TRANSFORMER;
grant ownership on future views in schema ANALYTICS.STAGING to role DAYBREAK_TRANSFORMER;
grant ownership on future tables in schema ANALYTICS.MARTS to role DAYBREAK_TRANSFORMER;
grant ownership on future views in schema ANALYTICS.MARTS to role DAYBREAK_TRANSFORMER;

-- The reader reads marts, also after dbt has replaced them. No raw table: what a mask spares is personal, and what a test holds back
-- stands in no mart. Of schema daybreak it reads what readers.sql names.
grant usage on schema ANALYTICS.MARTS to role DAYBREAK_READER;
grant select on future tables in schema ANALYTICS.MARTS to role DAYBREAK_READER;
grant select on future views in schema ANALYTICS.MARTS to role DAYBREAK_READER;


-- USERS. A user of type SERVICE has no password and cannot sign in by a browser. No secondary roles: else a role that somebody grants
-- to it later would be in force beside the one that the URL names. A second key, for a change without a gap:
--   alter user DAYBREAK_SERVICE set rsa_public_key_2 = '<NEW_PUBLIC_KEY>';
use role useradmin;

create user if not exists DAYBREAK_SERVICE
    type = SERVICE
    rsa_public_key = '<DAYBREAK_PUBLIC_KEY>'
    default_role = DAYBREAK_RUN
    default_secondary_roles = ()
    default_warehouse = DAYBREAK_LOADING
    comment = 'Daybreak: every process of it';
create user if not exists DAYBREAK_DASHBOARDS
    type = SERVICE
    rsa_public_key = '<DASHBOARDS_PUBLIC_KEY>'
    default_role = DAYBREAK_READER
    default_secondary_roles = ()
    default_warehouse = DAYBREAK_TRANSFORMING
    comment = 'Daybreak: tools that show marts';

grant role DAYBREAK_RUN to user DAYBREAK_SERVICE;
grant role DAYBREAK_READER to user DAYBREAK_DASHBOARDS;

-- A machine that only loads (daybreak sync) gets a user of its own:
--   create user if not exists DAYBREAK_SYNC type = SERVICE rsa_public_key = '<SYNC_PUBLIC_KEY>'
--       default_role = DAYBREAK_LOADER default_secondary_roles = () default_warehouse = DAYBREAK_LOADING;
--   grant role DAYBREAK_LOADER to user DAYBREAK_SYNC;


-- WHERE FROM. A key that leaks is worth nothing elsewhere. With the addresses of your machines, as account administrator:
--   create network rule if not exists ANALYTICS.PUBLIC.DAYBREAK_MACHINES type = IPV4 mode = INGRESS value_list = ('203.0.113.7/32');
--   create network policy if not exists DAYBREAK allowed_network_rule_list = ('ANALYTICS.PUBLIC.DAYBREAK_MACHINES');
--   alter user DAYBREAK_SERVICE set network_policy = DAYBREAK;
