# shellcheck shell=bash disable=SC2154  # set by those who source it
# What the browser tests need. Sourced after common.sh, never run.

# Installs what drives the browser, in tests/ui. Again only when the lock file has changed.
install_browser_driver() (
  cd "$root/tests/ui" || return
  cmp -s package-lock.json node_modules/.installed && return
  npm ci --no-audit --no-fund </dev/null && cp package-lock.json node_modules/.installed
)
