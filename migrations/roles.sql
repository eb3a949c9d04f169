-- The cluster's side of the schema: database and roles. Run by migrations/roles as a superuser; idempotent.
\getenv database DATABASE_NAME
\getenv diceowner_password DICEOWNER_PASSWORD
\getenv diceuser_password DICEUSER_PASSWORD
\getenv exporter_password EXPORTER_PASSWORD

SET client_min_messages = warning;

-- ALTER ROLE carries a password as text: it must reach neither the server's log nor pg_stat_statements.
SELECT set_config(setting, value, false)
FROM (VALUES ('log_statement', 'none'), ('log_min_error_statement', 'panic'),
             ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
             ('pg_stat_statements.track_utility', 'off')) AS quiet(setting, value)
WHERE current_setting('is_superuser') = 'on' \g /dev/null

-- Two runs at once take turns.
SELECT pg_advisory_lock(hashtextextended('roles', 0)) \g /dev/null

SELECT format('CREATE ROLE %I', role)
FROM unnest('{diceowner,diceuser,exporter}'::text[]) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

ALTER ROLE diceowner LOGIN PASSWORD :'diceowner_password';
ALTER ROLE diceuser LOGIN PASSWORD :'diceuser_password';
ALTER ROLE exporter LOGIN PASSWORD :'exporter_password';
GRANT pg_monitor TO exporter;

SELECT format('CREATE DATABASE %I', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO diceowner;

-- Temporary tables are writes too, and who may connect is said by name.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO diceuser, exporter;

-- Before PostgreSQL 15 everybody may create tables in the schema public.
\connect :"database"
SELECT pg_advisory_lock(hashtextextended('roles', 0)) \g /dev/null
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO diceowner;
