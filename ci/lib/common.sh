# shellcheck shell=bash disable=SC2034  # used by those who source it
# What every command shares. Sourced, never run. The head of a command's file is its --help.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
command_name=$(basename "$0")

say() { printf '%s\n' "$*"; }

fail() {
  printf '%s: %s\n' "$command_name" "$*" >&2
  exit 1
}

# Prints the comment that opens the command's file.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# Handles --help wherever it stands; returns when it does not.
help_if_asked() {
  local argument
  for argument in "$@"; do
    case $argument in
      -h | --help)
        usage
        exit 0
        ;;
    esac
  done
}

as_root() {
  if [[ $EUID -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "'$*' needs root: run this command as root, or install sudo."
  fi
}

# Runs a command quietly: its output goes to a log file and is shown only when the command fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 && return
  tail -n 40 "$log" >&2
  fail "'$*' failed; its whole output is in $log."
}
