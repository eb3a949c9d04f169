#!/usr/bin/env bash
# The documented queries of Prometheus, Loki and Tempo return data

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"

# Holds the table until a roll's query has waited for it that long: a slow query, or one over its time limit. The pool's
# check of its readiness reads the same table, and is not meant.
lock_table_until_waited_for() {
  k exec postgres-0 --container postgres -- psql -U postgres -d dicedb -qAtc "
    SET statement_timeout = '30s';
    DO \$\$ BEGIN
      LOCK TABLE die_specifications;
      WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'die-service' AND wait_event_type = 'Lock'
                        AND query LIKE '%WHERE name =%') LOOP
        PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
      END LOOP;
      PERFORM pg_sleep($1);
    END \$\$" &
  until_true 10 'the table is locked' table_is_locked
}
table_is_locked() {
  [[ $(sql "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
            AND relation = 'die_specifications'::regclass") == 1 ]]
}

expect_roll() { answers "$1" "/roll?die=$2" || broken "$3 should be $1, not $(answer)"; }

for _ in 1 2 3; do expect_roll '200|500' risky 'a die that fails at times'; done
answers 200 /dice || broken "the list of dice should be 200, not $(answer)"
lock_table_until_waited_for 1.2
expect_roll 200 fair 'a slow query'
wait $!
lock_table_until_waited_for 2.5
expect_roll 503 fair 'a query over the time limit'
wait $!
prometheus=$(url prometheus-operated 9090 "$observability") loki=$(url loki 3100 "$observability")
# A rate is that of requests between two scrapes.
ask targets "$prometheus" "$namespace" "${services[@]}" >/dev/null
start_job traffic
shows ask queries promql "$prometheus" "$here/queries/promql.txt"
shows ask queries logql "$loki" "$here/queries/logql.txt"
# The slow statement is there and the value bound to it is not; PostgreSQL would tell it in a line of its own.
shows ask lines "$loki" "{namespace=\"$namespace\", container_name=\"postgres\"} |~ \"duration: .* FROM dice WHERE name|[$]1 = \"" "\$1 = "
shows ask queries tempo "$(url tempo 3200 "$observability")" "$here/queries/tempo.txt"
k delete job k6-traffic >/dev/null
