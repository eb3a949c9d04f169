# shellcheck shell=bash disable=SC2034  # used by those who source it
# What the promises share. Sourced by each of them; ci/e2e runs them and sets the variables E2E_*.

set -euo pipefail
# shellcheck source=ci/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../ci/lib/common.sh"
# shellcheck source=ci/lib/process.sh
source "$root/ci/lib/process.sh"
stop_all_at_exit

readonly here=$root/tests/e2e namespace=$E2E_NAMESPACE observability=$E2E_OBSERVABILITY
readonly services=(frontend dice-roller die-service)

# What the table says was seen.
show() { printf '%s\n' "$*" >>"$E2E_SHOWN"; }

# The same for what a command prints; fails when the command does, which says itself what is wrong.
shows() {
  local output
  output=$("$@") || exit 1
  show "$output"
}

# A promise that does not hold.
broken() { fail "$*"; }

k() { kubectl --namespace "$namespace" "$@"; }
helm() { "$E2E_HELM" "$@"; }

# helm template for this cluster's version, which a helm built from source cannot guess.
render() {
  local version
  version=$(kubectl get --raw /version | sed -nE 's/.*"gitVersion": "(v[0-9.]+).*/\1/p')
  helm template dicebox --kube-version "$version" "$@"
}

# Manifests as this cluster needs them: the proof's namespaces, and the tags of the images that were loaded.
manifest() { sed -E -f "$E2E_WORK/manifest.sed"; }

# The address of a Service, through the API server: it outlives every pod. url SERVICE PORT [NAMESPACE]
url() { say "$E2E_PROXY/api/v1/namespaces/${3:-$namespace}/services/$1:$2/proxy"; }

ask() { python3 "$here/ask.py" "$@"; }

# eventually SECONDS COMMAND...: until the command succeeds, at most so long.
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.3
  done
}
until_true() { eventually "$1" "${@:3}" || broken "$2: not in $1 s"; }

# answers STATUS PATH: asks the frontend once. STATUS may be several, as '200|500'; the body is in $E2E_WORK/answer.
answers() {
  : >"$E2E_WORK/answer"
  status=$(curl -s -o "$E2E_WORK/answer" -w '%{http_code}' --max-time 15 "$(url frontend 8111)$2") || true
  [[ $status =~ ^($1)$ ]]
}
# What it answered, for a sentence.
answer() { say "$status $(<"$E2E_WORK/answer")"; }
member() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$E2E_WORK/answer" "$1"; }
rolls() { answers 200 '/roll?die=fair'; }

wait_rolled_out() {
  local kind
  for kind in "$@"; do
    k rollout status "$kind" --timeout=120s >/dev/null || broken "$kind is not rolled out"
  done
}

# start_job NAME: starts one of k8s/k6 anew.
start_job() {
  k delete job "k6-$1" --ignore-not-found --wait >/dev/null
  kubectl kustomize "$root/k8s/k6/$1" | manifest | k apply --filename - >/dev/null
  k wait --for=jsonpath='{.status.ready}'=1 --timeout=60s "job/k6-$1" >/dev/null || broken "job k6-$1 does not start"
}

job_condition() { k get job "$1" -o jsonpath="{.status.conditions[?(@.type==\"$2\")].status}"; }
job_ended() { [[ $(job_condition "$1" Complete)$(job_condition "$1" Failed) == *True* ]]; }

# finish_job NAME SECONDS: waits for its end, fails when it did, and leaves k6's summary in $E2E_WORK/NAME.log.
finish_job() {
  local log=$E2E_WORK/$1.log
  until_true "$2" "job k6-$1 ends" job_ended "k6-$1"
  k logs "job/k6-$1" >"$log" 2>&1
  if [[ $(job_condition "k6-$1" Complete) != True ]]; then
    cat "$log"
    broken "job k6-$1 failed"
  fi
}

# A figure of k6's summary: figure NAME METRIC FIELD
figure() { sed -nE "s/^ *$2\.*: (.*)$/\1/p" "$E2E_WORK/$1.log" | head -n 1; }

# Runs SQL in the release's PostgreSQL as its superuser.
sql() { k exec postgres-0 --container postgres -- psql -U postgres -d dicedb -qAtc "$1"; }

# Names and restart counts of the containers of these components, to compare with later: restarts COMPONENT...
restarts() {
  local IFS=,
  k get pods -l "app.kubernetes.io/component in ($*)" \
    -o jsonpath='{range .items[*].status.containerStatuses[*]}{.name} {.restartCount} {end}'
}
