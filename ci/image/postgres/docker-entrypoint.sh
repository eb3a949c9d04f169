#!/usr/bin/env bash
# Starts PostgreSQL with the environment contract of the official image: docker-entrypoint.sh postgres [OPTION...]
#
#   POSTGRES_PASSWORD          the superuser's password; needed for an empty PGDATA
#   POSTGRES_USER              the superuser (default postgres)
#   POSTGRES_DB                a database to create (default: POSTGRES_USER)
#   POSTGRES_INITDB_ARGS       further arguments of initdb
#   POSTGRES_INITDB_WALDIR     another folder for the write-ahead log
#   POSTGRES_HOST_AUTH_METHOD  how clients from elsewhere prove who they are (default: as the password is stored);
#                              `trust` needs no password
#   PGDATA                     the data (default /var/lib/postgresql/data)
#
# Those of the first three and POSTGRES_INITDB_ARGS that end in _FILE name a file with the value. When PGDATA is empty,
# the cluster is made and each file of /docker-entrypoint-initdb.d is run in the order of names: *.sql, *.sql.gz,
# *.sql.xz, *.sql.zst, and *.sh, which is sourced unless it is executable. Any other command is run as it is.
set -euo pipefail

say() { printf 'postgres image: %s\n' "$*"; }

die() {
  say "$*" >&2
  exit 1
}

# from_file NAME DEFAULT: sets NAME from the file that NAME_FILE names, or to the default.
from_file() {
  local name=$1 file=${1}_FILE value=${2:-}
  if [[ -n ${!name:-} && -n ${!file:-} ]]; then die "both $name and $file are set; choose one"; fi
  if [[ -n ${!name:-} ]]; then
    value=${!name}
  elif [[ -n ${!file:-} ]]; then
    [[ -r ${!file} ]] || die "$file names ${!file}, which cannot be read"
    value=$(<"${!file}")
  fi
  export "$name=$value"
  unset "$file"
}

read_environment() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER postgres
  from_file POSTGRES_DB "$POSTGRES_USER"
  from_file POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"
  if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
    die 'PGDATA is empty and POSTGRES_PASSWORD is not set: give the superuser a password'
  fi
}

prepare_folders() {
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA" 2>/dev/null || true # a volume may belong to someone else and be open to our group
  mkdir -p /var/run/postgresql 2>/dev/null || true
  if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then mkdir -p "$POSTGRES_INITDB_WALDIR"; fi
}

# As root, only to give the folders to postgres and to become it.
leave_root() {
  prepare_folders
  chown -R postgres: "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}
  exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
}

create_cluster() {
  local arguments=(--username "$POSTGRES_USER")
  if [[ -n ${POSTGRES_INITDB_WALDIR:-} ]]; then arguments+=(--waldir "$POSTGRES_INITDB_WALDIR"); fi
  # The contract's arguments are words, with quotes where a word has a space.
  eval "arguments+=($POSTGRES_INITDB_ARGS)"
  if [[ -n $POSTGRES_PASSWORD ]]; then
    initdb "${arguments[@]}" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD")
  else
    initdb "${arguments[@]}"
  fi
  # Debian's default is this machine alone.
  printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# psql as the superuser, over the socket alone: the files of /docker-entrypoint-initdb.d use it too.
docker_process_sql() {
  PGHOST='' PGHOSTADDR='' psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" \
    --dbname "$POSTGRES_DB" "$@"
}

# No client may come before the cluster is as it should be, so this server listens on the socket only.
start_for_setup() {
  PGUSER=$POSTGRES_USER pg_ctl --pgdata "$PGDATA" --wait -o "$* -c listen_addresses='' -p ${PGPORT:-5432}" start
}

create_database() {
  [[ $POSTGRES_DB != postgres ]] || return 0
  docker_process_sql --dbname postgres --set name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
}

run_initdb_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    [[ -e $file ]] || continue
    say "running $file"
    case $file in
      *.sh)
        if [[ -x $file ]]; then
          "$file"
        else
          # shellcheck source=/dev/null
          source "$file"
        fi
        ;;
      *.sql) docker_process_sql --file "$file" ;;
      *.sql.gz) gunzip --stdout "$file" | docker_process_sql ;;
      *.sql.xz) xz --decompress --stdout "$file" | docker_process_sql ;;
      *.sql.zst) zstd --decompress --stdout "$file" | docker_process_sql ;;
      *) say "$file is left alone: its name says neither .sh nor .sql" ;;
    esac
  done
}

set_up() {
  create_cluster
  export PGPASSWORD=$POSTGRES_PASSWORD
  start_for_setup "$@"
  create_database
  run_initdb_files
  pg_ctl --pgdata "$PGDATA" --mode fast --wait stop
  unset PGPASSWORD
  say 'the new cluster is ready'
}

main() {
  if [[ ${1:-postgres} == -* ]]; then set -- postgres "$@"; fi
  [[ ${1:-} == postgres ]] || exec "$@"
  local argument
  for argument in "${@:2}"; do
    case $argument in -'?' | --help | --describe-config | -V | --version) exec "$@" ;; esac
  done
  [[ $EUID -ne 0 ]] || leave_root "$@"
  prepare_folders
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    read_environment
    set_up "${@:2}"
  fi
  exec "$@"
}

main "$@"
