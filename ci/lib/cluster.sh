# shellcheck shell=bash disable=SC2034,SC2154  # used and set by those who source it
# The Kubernetes that a command works on. Sourced after process.sh, never run.

# One that can be started on this machine, and what builds the programs around the chart, when they lie beside the
# checkout.
readonly own_cluster=$root/../shared/cluster/kube own_stack=$root/../shared/stack/build
own_cluster_started=false

export BIN_DIR=${BIN_DIR:-/var/tmp/stack/bin}

# A program from PATH, else from where programs were built; in $found.
find_program() {
  found=$(command -v "$1") || found=$BIN_DIR/$1
  [[ -x $found ]]
}

has_context() { kubectl config current-context >/dev/null 2>&1; }
have_cluster() { [[ -x $own_cluster ]] || has_context; }

# Uses kubectl's current context, or starts the cluster beside the checkout. Fails when there is neither.
use_cluster() {
  local line
  if has_context; then
    say "Using the context '$(kubectl config current-context)'."
    kubectl version >/dev/null || fail 'this cluster does not answer.'
    return
  fi
  [[ -x $own_cluster ]] || fail "no cluster: kubectl has no current context. 'kind create cluster' or 'minikube start' makes one."
  say "Starting the cluster of $own_cluster."
  "$own_cluster" status >/dev/null 2>&1 || own_cluster_started=true
  line=$("$own_cluster" up) || fail 'the cluster did not start.'
  export KUBECONFIG=${line#export KUBECONFIG=}
}

leave_cluster() {
  if $own_cluster_started; then "$own_cluster" down; fi
}

# Gives the nodes the images in these archives. Elsewhere than in clusters on this machine, they must be there already.
load_images() {
  local context archive
  context=$(kubectl config current-context)
  for archive in "$@"; do
    case $context in
      kind-*) kind load image-archive --name "${context#kind-}" "$archive" ;;
      minikube) minikube image load "$archive" ;;
      *)
        if [[ ${KUBECONFIG:-} == "${KUBE_DIR:-/var/tmp/kube}/"* && -x $own_cluster ]]; then
          "$own_cluster" load-image "$archive" >/dev/null
        else
          say "Do not know how to load images into '$context': its nodes must find them by themselves."
          return
        fi
        ;;
    esac
  done
}
