# shellcheck shell=bash disable=SC2154  # set by those who source it
# The dice system on this machine: a PostgreSQL of its own and the three services. Sourced after process.sh, never run.
#
# The caller sets logs (a folder) and the ports; the build is where ci/build leaves it.

: "${FRONTEND_PORT:=8111}" "${DICE_ROLLER_PORT:=8110}" "${DIE_SERVICE_PORT:=8109}"

# The newest PostgreSQL of this machine.
postgres_programs() { find /usr/lib/postgresql/*/bin -maxdepth 0 2>/dev/null | sort -V | tail -n 1; }

new_password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Runs PostgreSQL's programs as themselves, or as the user postgres when we are root, which they refuse to be.
as_postgres() {
  if [[ $EUID -eq 0 ]]; then
    (cd / && exec setpriv --reuid postgres --regid postgres --init-groups "$@")
  else
    "$@"
  fi
}

# Each password is in a file that only we can read, and never on a command line or in the environment.
write_passwords() {
  local secrets=$1 port=$2 role
  mkdir -m 700 "$secrets"
  for role in postgres diceowner diceuser exporter; do
    (
      umask 077
      new_password >"$secrets/$role"
      say "127.0.0.1:$port:*:$role:$(<"$secrets/$role")" >>"$secrets/pgpass"
    )
  done
}

create_cluster() {
  local programs=$1 folder=$2
  mkdir -m 700 "$folder/data"
  install -m 600 "$folder/secrets/postgres" "$folder/password"
  [[ $EUID -ne 0 ]] || chown postgres: "$folder/data" "$folder/password"
  as_postgres "$programs/initdb" -D "$folder/data" -U postgres --encoding UTF8 --locale C.UTF-8 --auth scram-sha-256 \
    --no-sync --pwfile="$folder/password" >"$logs/initdb.log" 2>&1 || fail "initdb failed; see $logs/initdb.log."
  rm "$folder/password"
}

# Like start(), with PostgreSQL's quick but orderly stop.
start_server() {
  local programs=$1 folder=$2 port=$3 user=()
  [[ $EUID -ne 0 ]] || user=(--reuid postgres --regid postgres --init-groups)
  stop_signal=INT start postgres "$logs/postgres.log" setpriv --pdeathsig INT "${user[@]}" \
    "$programs/postgres" -D "$folder/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off
}

migrate() {
  local secrets=$1
  local -x PGUSER=postgres DICEOWNER_PASSWORD_FILE=$secrets/diceowner DICEUSER_PASSWORD_FILE=$secrets/diceuser \
    EXPORTER_PASSWORD_FILE=$secrets/exporter
  "$root/migrations/roles" || return
  PGUSER=diceowner PGDATABASE=dicedb "$root/migrations/apply"
}

# Starts a PostgreSQL with the schema in it, and exports libpq's variables for diceuser.
start_postgres() {
  local programs folder port pid deadline=$((SECONDS + 30))
  programs=$(postgres_programs)
  [[ -n $programs ]] || fail "PostgreSQL is not installed; 'ci/install postgres' does it."
  temporary_folder
  chmod 711 "$folder"
  choose_port
  write_passwords "$folder/secrets" "$port"
  create_cluster "$programs" "$folder"
  start_server "$programs" "$folder" "$port"
  pid=$!
  export PGHOST=127.0.0.1 PGPORT=$port PGPASSFILE=$folder/secrets/pgpass
  until "$programs/pg_isready" -q; do
    if ! alive "$pid" || ((SECONDS >= deadline)); then
      report_death "$pid" '?'
      fail "PostgreSQL does not answer on port $port."
    fi
    sleep 0.05
  done
  migrate "$folder/secrets" >"$logs/migrations.log" 2>&1 || fail "the migrations failed: $(tail -n 3 "$logs/migrations.log")"
  export PGUSER=diceuser PGDATABASE=dicedb
}

start_service() {
  local name=$1
  shift
  start "$name" "$logs/$name.log" env "$@" "$root/build/apps/$name/$name"
}

# check_ports: names every taken port and what to do.
check_ports() {
  local variable taken=0
  for variable in FRONTEND_PORT DICE_ROLLER_PORT DIE_SERVICE_PORT; do
    if port_in_use "${!variable}"; then
      say "Port ${!variable} is in use. Stop what listens there, or choose another: $variable=<port> $command_name …" >&2
      taken=1
    fi
  done
  ((taken == 0)) || exit 1
}

# start_dice file|postgres: starts the services, and PostgreSQL before them, and waits until all can serve.
start_dice() {
  local store=$1 name pid pids=()
  mkdir -p "$logs"
  rm -f "$logs"/*.log "$logs"/*.log.1
  # Without a collector the spans go where the log lines go.
  if [[ -z ${OTEL_EXPORTER_OTLP_ENDPOINT:-} ]]; then export OTEL_TRACES_EXPORTER=${OTEL_TRACES_EXPORTER:-console}; fi
  # What the page shows of a request; "0" is without.
  export TRACE_BUFFER_BYTES=${TRACE_BUFFER_BYTES:-4194304}
  if [[ $store == postgres ]]; then start_postgres; fi
  start_service die-service PORT="$DIE_SERVICE_PORT" DIE_STORE="$store" \
    DIE_SPECIFICATIONS_FILE="$root/apps/die-service/die_specifications.json"
  pids+=("$!:$DIE_SERVICE_PORT")
  start_service dice-roller PORT="$DICE_ROLLER_PORT" DIE_SERVICE_URL="http://127.0.0.1:$DIE_SERVICE_PORT"
  pids+=("$!:$DICE_ROLLER_PORT")
  start_service frontend PORT="$FRONTEND_PORT" DIE_SERVICE_URL="http://127.0.0.1:$DIE_SERVICE_PORT" \
    DICE_ROLLER_URL="http://127.0.0.1:$DICE_ROLLER_PORT"
  pids+=("$!:$FRONTEND_PORT")
  for pid in "${pids[@]}"; do
    wait_until_ready "${pid%:*}" "http://127.0.0.1:${pid#*:}/readyz" 30 || exit 1
  done
}
