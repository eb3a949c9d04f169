#!/usr/bin/env bash
# helm upgrade from the previous chart and helm rollback keep the data and the dice rolling

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
space=$namespace-upgrade
old=$E2E_WORK/previous
values=(--namespace "$space" --values "$E2E_WORK/images.yaml" --set dieService.store=postgres)

# The last commit of the chart that differs from today's and takes these values.
unpack_previous() {
  local commit
  for commit in $(git -C "$root" log --format=%H -- charts/dicebox); do
    rm -rf "$old"
    mkdir "$old"
    git -C "$root" archive "$commit" charts/dicebox migrations k8s 2>/dev/null | tar -x -C "$old" || continue
    ! diff -rq "$old/charts/dicebox" "$root/charts/dicebox" >/dev/null || continue
    render "$old/charts/dicebox" "${values[@]}" >/dev/null 2>&1 || continue
    previous=$(git -C "$root" log -1 --format='%h (%s)' "$commit")
    return
  done
  return 1
}

psql_there() { kubectl --namespace "$space" exec postgres-0 --container postgres -- psql -U postgres -d dicedb -qAtc "$1"; }
die_rolls() { [[ $(curl -s --max-time 15 "$(url frontend 8111 "$space")/roll?die=upgraded") == *'"result":7'* ]]; }
must_roll() {
  local kind
  for kind in statefulset/postgres deployment/{frontend,dice-roller,die-service}; do
    kubectl --namespace "$space" rollout status "$kind" --timeout=120s >/dev/null || broken "$kind is not there after $1"
  done
  until_true 60 "a roll of the die of before after $1" die_rolls
}

unpack_previous || broken 'no earlier chart can be installed with these values'
kubectl create namespace "$space" >/dev/null
helm install dicebox "$old/charts/dicebox" "${values[@]}" --wait --timeout 120s >/dev/null
psql_there "INSERT INTO die_specifications VALUES ('upgraded', '{7}', 0, NULL)"
must_roll "install of $previous"
helm upgrade dicebox "$root/charts/dicebox" "${values[@]}" --wait --timeout 120s >/dev/null
must_roll 'helm upgrade'
helm rollback dicebox --namespace "$space" --wait --timeout 120s >/dev/null
must_roll 'helm rollback'
helm uninstall dicebox --namespace "$space" --wait >/dev/null
kubectl delete namespace "$space" >/dev/null
show "from $previous"
