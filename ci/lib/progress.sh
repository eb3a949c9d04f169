# shellcheck shell=bash
# Says how far a long command is. Sourced after common.sh, never run.

# with_progress LOG WHAT COUNT COMMAND...: adds the command's output to LOG and meanwhile says WHAT, what COUNT makes of
# that output, and the time. On a terminal that is one line, updated each second and removed at the end; elsewhere a line
# every ten seconds. A command that takes less than two seconds is not mentioned.
with_progress() {
  local log=$1 what=$2 count=$3 from ticker status=0
  shift 3
  touch "$log"
  from=$(($(stat -c %s "$log") + 1))
  tell_progress "$log" "$what" "$count" "$from" &
  ticker=$!
  "$@" >>"$log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  [[ ! -t 1 ]] || printf '\r\e[K'
  ((status == 0)) && return
  tail -c "+$from" "$log" | tail -n 40 >&2
  fail "'$*' failed; its whole output is in $log."
}

# The command is in the foreground, so that Ctrl-C reaches it, and this one ends when the shell that started it does.
tell_progress() {
  local log=$1 what=$2 count=$3 from=$4 begin=$SECONDS next=2 elapsed line
  while sleep 1 >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null; do
    elapsed=$((SECONDS - begin))
    ((elapsed >= next)) || continue
    line="$what: $(tail -c "+$from" "$log" | "$count")$elapsed s"
    if [[ -t 1 ]]; then
      printf '\r\e[K%s' "$line"
    else
      say "$line"
      next=$((elapsed + 10))
    fi
  done
}

count_nothing() { cat >/dev/null; }

# "12 of 144 files, " from Ninja's "[12/144] Building …".
count_files() { awk -F '[][/]' '/^\[[0-9]+\/[0-9]+\]/ { done = $2; all = $3 } END { if (all) print done " of " all " files, " }' | tr -d '\n'; }

# "12 of 144 packages, " from apt-get's words.
count_packages() {
  awk '/ newly installed,/ { all += $3 }
    /^Get:/ { fetched++ }
    /^Setting up / { done++ }
    END {
      if (done) print done " of " all " packages set up, "
      else if (fetched) print fetched " files fetched, "
    }' | tr -d '\n'
}
