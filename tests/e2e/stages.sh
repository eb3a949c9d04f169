#!/usr/bin/env bash
# Each stage file installs a system that rolls at its document's ports

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
space=$namespace-stage

# The ports of frontend, dice-roller and die-service in the documents.
declare -A ports=([stage-3]='8105 8104 8103' [stage-4]='8400 8401 8402' [stage-5]='8111 8110 8109')

port_of() {
  kubectl --namespace "$space" get service -l "app.kubernetes.io/component=$1" -o jsonpath='{.items[0].spec.ports[0].port}'
}
service_of() { kubectl --namespace "$space" get service -l "app.kubernetes.io/component=$1" -o jsonpath='{.items[0].metadata.name}'; }

stage_rolls() { [[ $(curl -s --max-time 15 "$base/roll-async?die=fair&times=10") == *'"times":10'* ]]; }

for stage in stage-3 stage-4 stage-5; do
  kubectl create namespace "$space" >/dev/null
  helm install "$stage" "$root/charts/dicebox" --namespace "$space" --values "$root/k8s/stages/$stage.yaml" \
    --values "$E2E_WORK/images.yaml" --wait --timeout 120s >/dev/null
  found="$(port_of frontend) $(port_of dice-roller) $(port_of die-service)"
  [[ $found == "${ports[$stage]}" ]] || broken "$stage has the ports $found, and its document ${ports[$stage]}"
  base=$(url "$(service_of frontend)" "$(port_of frontend)" "$space")
  until_true 30 "$stage rolls" stage_rolls
  helm uninstall "$stage" --namespace "$space" --wait >/dev/null
  kubectl delete namespace "$space" >/dev/null
  show "$stage: ports $found"
done
