# shellcheck shell=bash disable=SC2034  # used by those who source it
# Starts, watches and stops processes. Sourced after common.sh, never run.
#
# Each process gets a session of its own, so that Ctrl-C reaches only the command, which then stops its processes in
# order; and each is told to end when the command dies, even by SIGKILL.

declare -a started=()        # pids, in the order of start
declare -A process_name=()   # by pid
declare -A process_log=()    # by pid
declare -A process_signal=() # by pid: how to stop it
declare -a temporary=()      # folders to remove at the end
readonly stop_seconds=20 log_limit_bytes=$((64 * 1024 * 1024))

# start NAME LOG COMMAND...; the pid is in $! afterwards. stop_signal=INT start … stops it by another signal than TERM.
start() {
  local name=$1 log=$2
  shift 2
  setsid setpriv --pdeathsig "${stop_signal:-TERM}" "$@" >>"$log" 2>&1 </dev/null &
  started+=("$!")
  process_name[$!]=$name
  process_log[$!]=$log
  process_signal[$!]=${stop_signal:-TERM}
}

# Runs a command and waits for it, so that a signal to us ends it too, at once and with all it started.
run_and_wait() {
  local status=0
  setsid setpriv --pdeathsig TERM "$@" </dev/null &
  started+=("$!")
  process_name[$!]=$1
  process_signal[$!]=TERM
  wait "$!" || status=$?
  unset 'started[-1]'
  return "$status"
}

alive() { kill -0 "$1" 2>/dev/null; }

# Stops one process and reaps it.
stop() {
  local pid=$1 deadline=$((SECONDS + stop_seconds))
  kill -s "${process_signal[$pid]}" "$pid" 2>/dev/null || return 0
  while alive "$pid" && ((SECONDS < deadline)); do sleep 0.05; done
  if alive "$pid"; then
    say "${process_name[$pid]} did not stop within $stop_seconds s and was killed." >&2
    kill -KILL "$pid" 2>/dev/null || true
  fi
  wait "$pid" 2>/dev/null || true
  kill -KILL -- "-$pid" 2>/dev/null || true # what it may have left behind in its session
}

# Stops everything that start() started, the latest first, and removes the temporary folders.
stop_all() {
  local i
  trap '' INT TERM HUP
  for ((i = ${#started[@]} - 1; i >= 0; i--)); do stop "${started[i]}"; done
  started=()
  [[ ${#temporary[@]} -eq 0 ]] || rm -rf -- "${temporary[@]}"
  temporary=()
}

# From here on, every end of the command stops what it started.
stop_all_at_exit() {
  trap stop_all EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

# A new temporary folder, in $folder; removed at the end.
temporary_folder() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/dicebox.XXXXXX")
  temporary+=("$folder")
}

report_death() {
  local pid=$1 status=$2
  {
    say "${process_name[$pid]} ended with status $status. The end of ${process_log[$pid]}:"
    tail -n 20 "${process_log[$pid]}" | sed 's/^/  /'
  } >&2
}

port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A free port below the range that the kernel hands out to clients, in $port.
choose_port() {
  port=$((20000 + RANDOM % 12000))
  while port_in_use "$port"; do port=$((20000 + RANDOM % 12000)); done
}

# wait_until_ready PID URL SECONDS: until URL answers 200. Fails when the process ends before, or at the deadline.
wait_until_ready() {
  local pid=$1 url=$2 deadline=$((SECONDS + $3)) status=0
  until curl -fs -o /dev/null --max-time 2 "$url"; do
    if ! alive "$pid"; then
      wait "$pid" || status=$?
      report_death "$pid" "$status"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      say "${process_name[$pid]} is not ready after $3 s: $(curl -s --max-time 2 "$url" || say 'no answer')" >&2
      return 1
    fi
    sleep 0.05
  done
}

# Keeps a log below its limit and the latest part of it in LOG.1. start() opens logs for appending, so emptying is safe.
bound_logs() {
  local log
  for log in "${process_log[@]}"; do
    if (($(stat -c %s "$log") > log_limit_bytes)); then
      cp "$log" "$log.1"
      : >"$log"
    fi
  done
}

# Returns, with 1, when the first of the processes has ended, and says which.
watch_all() {
  local pid='' tick status
  while true; do
    sleep 30 &
    tick=$!
    status=0
    wait -n -p pid "$tick" "${started[@]}" || status=$?
    if [[ $pid != "$tick" ]]; then
      kill "$tick"
      report_death "$pid" "$status"
      return 1
    fi
    bound_logs
  done
}
