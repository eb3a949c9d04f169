#!/usr/bin/env bash
# helm test: asks PostgreSQL as the services do. Prints one line for each promise, and fails when one is broken.
#
# libpq's PG* variables lead to the database as die-service's role; with EXPORTER_PASSWORD as the exporter's too.
set -euo pipefail

broken=0

# promise TEXT WANTED SQL: the statement gives WANTED, which may be an error's SQLSTATE.
promise() {
  local got
  got=$(psql --no-psqlrc --no-password --quiet --no-align --tuples-only --set VERBOSITY=sqlstate \
    --set ON_ERROR_STOP=1 --command "$3" 2>&1) || true
  if [[ $got == "$2" || $got == "ERROR:  $2" ]]; then
    echo "ok      $1"
  else
    echo "BROKEN  $1: wanted '$2', got '$got' from: $3"
    broken=1
  fi
}

promise "there are dice for $PGUSER to read" t 'SELECT count(*) > 0 FROM dice'
promise 'the table and the view tell of the same dice' t \
  'SELECT (SELECT count(*) FROM die_specifications) = (SELECT count(*) FROM dice)'
promise "$PGUSER may not write" 42501 \
  "BEGIN; INSERT INTO die_specifications (identifier, faces, error_rate) VALUES ('helm-test', '{1}', 0); ROLLBACK"
promise "$PGUSER may not make tables" 42501 'BEGIN; CREATE TABLE helm_test (id INTEGER); ROLLBACK'
if [[ -n ${EXPORTER_PASSWORD:-} ]]; then
  PGUSER=exporter PGPASSWORD=$EXPORTER_PASSWORD promise 'the exporter may watch the server' t \
    "SELECT pg_has_role('pg_monitor', 'USAGE')"
  PGUSER=exporter PGPASSWORD=$EXPORTER_PASSWORD promise 'the exporter may not read the dice' 42501 \
    'SELECT count(*) FROM dice'
fi
exit "$broken"
