#!/usr/bin/env bash
# The roles of a new cluster, run once by the image's own initialization. Law: the application is not a superuser,
# and the monitoring role can read statistics but no row.
set -euo pipefail

# psql reads the passwords itself (backquotes in \set): on a command line they would be visible to every process.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB" --set database="$POSTGRES_DB" <<'SQL'
\set app_password `cat /run/secrets/postgres_app_password`
\set exporter_password `cat /run/secrets/postgres_exporter_password`
CREATE ROLE app LOGIN PASSWORD :'app_password';
CREATE ROLE exporter LOGIN PASSWORD :'exporter_password' IN ROLE pg_monitor CONNECTION LIMIT 5;
ALTER DATABASE :"database" OWNER TO app;
ALTER SCHEMA public OWNER TO app;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO exporter;
SQL
