-- For those who read, once Daybreak has loaded something: before, these tables are not there. Names as in setup.sql.
--
-- What is known of the loads is for everybody: what was loaded and when, whether it equals its source, what was forgotten. The other
-- tables of the schema are for the engine: quarantine has rows of the source as text, schema_versions has defaults of columns.
use role securityadmin;

grant usage on schema ANALYTICS.DAYBREAK to role DAYBREAK_READER;
grant select on table ANALYTICS.DAYBREAK.LEDGER to role DAYBREAK_READER;
grant select on table ANALYTICS.DAYBREAK.WINDOWS to role DAYBREAK_READER;
grant select on table ANALYTICS.DAYBREAK.PARITY to role DAYBREAK_READER;
grant select on table ANALYTICS.DAYBREAK.RECONCILIATIONS to role DAYBREAK_READER;
grant select on table ANALYTICS.DAYBREAK.FORGOTTEN to role DAYBREAK_READER;
