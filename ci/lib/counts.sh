# shellcheck shell=bash
# Adds up what parts of a command report. Sourced, never run.

passed=0 failed=0 skipped=0

count() {
  passed=$((passed + $1))
  failed=$((failed + $2))
  skipped=$((skipped + ${3:-0}))
}

# One thing that passes or fails as a whole: check NAME COMMAND...
check() {
  local name=$1
  shift
  if "$@"; then
    say "ok      $name"
    count 1 0
  else
    say "FAILED  $name"
    count 0 1
  fi
}

# Runs another command that counts and adds its numbers to ours: count_command NAME COMMAND...
count_command() {
  local name=$1 status=0 file numbers
  shift
  file=$(mktemp)
  DICEBOX_COUNTS=$file run_and_wait "$@" || status=$?
  read -r -a numbers <"$file" || true
  rm -f "$file"
  # One that ended badly before it could count is a failure itself.
  if [[ ${#numbers[@]} -eq 0 || ($status -ne 0 && ${numbers[1]} -eq 0) ]]; then
    say "FAILED  $name ended with status $status."
    count 0 1
  fi
  [[ ${#numbers[@]} -eq 0 ]] || count "${numbers[@]}"
}

# The closing line; fails when anything failed or there was nothing at all.
closing_line() {
  local line="$passed passed, $failed failed"
  ((skipped == 0)) || line+=", $skipped skipped"
  [[ -z ${DICEBOX_COUNTS:-} ]] || say "$passed $failed $skipped" >"$DICEBOX_COUNTS"
  say "$line"
  ((failed == 0 && passed + skipped > 0))
}
