#!/usr/bin/env bash
# A namespace that enforces Pod Security restricted takes everything but Alloy, without a warning

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
space=$namespace-restricted
kubectl create namespace "$space" >/dev/null
kubectl label namespace "$space" pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
# A server-side dry run: a bare pod is refused, and a Deployment's or Job's template is warned of.
answer=$(render "$root/charts/dicebox" --namespace "$space" --values "$E2E_WORK/images.yaml" \
  --values "$E2E_WORK/values.yaml" | kubectl --namespace "$space" apply --dry-run=server --server-side --filename - 2>&1) ||
  broken "refused: $answer"
warnings=$(grep '^Warning: would violate PodSecurity' <<<"$answer") || broken 'not even Alloy is warned of: this proves nothing'
[[ $(wc -l <<<"$warnings") == 1 && $warnings =~ restricted:latest\":\ (hostPath|restricted)\ volume[^()]*\([^()]*\)$ ]] ||
  broken "more than Alloy's hostPath is not restricted: $warnings"
kubectl delete namespace "$space" >/dev/null
show "$(grep -c 'serverside-applied' <<<"$answer") objects; Alloy is warned of for its hostPath alone"
