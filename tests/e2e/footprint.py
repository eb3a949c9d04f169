#!/usr/bin/env python3
"""Prints what the release needs: footprint.py NAMESPACE IMAGE_ARCHIVE SECONDS_TO_READY

Memory is the working set of each container, as the kubelets tell it and as limits count it. Exits 1 when a bar is missed.
"""

import json
import os
import subprocess
import sys

SERVICES = ("frontend", "dice-roller", "die-service")
BAR_SERVICES_MIB, BAR_IMAGE_MB, BAR_READY_SECONDS = 60, 60, 30
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}


def kubectl(*arguments):
    return json.loads(subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True).stdout)


def mebibytes(quantity):
    unit = quantity.lstrip("0123456789")
    return int(quantity.removesuffix(unit)) * UNITS[unit] / 2**20


def working_sets(namespace):
    """(pod, container) -> MiB"""
    used = {}
    for node in kubectl("get", "nodes", "-o", "json")["items"]:
        summary = kubectl("get", "--raw", f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary")
        for pod in summary["pods"]:
            if pod["podRef"]["namespace"] == namespace:
                for container in pod.get("containers", []):
                    memory = container.get("memory", {}).get("workingSetBytes", 0)
                    used[pod["podRef"]["name"], container["name"]] = memory / 2**20
    return used


def compressed(archive):
    """Bytes after gzip, which is how registries hold and send it."""
    reader, writer = os.pipe()
    with open(archive, "rb") as source, subprocess.Popen(["gzip", "-6", "-c"], stdin=source, stdout=writer):
        os.close(writer)
        size = 0
        while block := os.read(reader, 1 << 20):
            size += len(block)
    os.close(reader)
    return size


def main():
    namespace, archive, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    used = working_sets(namespace)
    pods = [pod for pod in kubectl("--namespace", namespace, "get", "pods", "-o", "json")["items"]
            if pod["status"]["phase"] == "Running"]
    print(f"{'container':<24}{'requests':>16}{'limit':>8}{'used':>12}")
    services = total = requested = 0
    for pod in pods:
        for container in pod["spec"]["containers"]:
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            memory = used.get((pod["metadata"]["name"], container["name"]), 0)
            total += memory
            requested += mebibytes(requests.get("memory", "0"))
            if container["name"] in SERVICES:
                services += memory
            asked = f"{requests.get('cpu', '-')} {requests.get('memory', '-')}"
            print(f"{container['name']:<24}{asked:>16}{limits.get('memory', '-'):>8}{memory:>8.1f} MiB")
    print(f"{len(pods)} pods; {requested:.0f} MiB requested, {total:.0f} MiB used")

    bars = [("memory of the three services, MiB", services, BAR_SERVICES_MIB), ("seconds to Ready", seconds, BAR_READY_SECONDS)]
    if os.path.exists(archive):
        bars.append(("image dicebox compressed, MB", compressed(archive) / 10**6, BAR_IMAGE_MB))
    for name, value, bar in bars:
        print(f"{name}: {value:.1f} (bar: under {bar}){'' if value < bar else '  MISSED'}")
    sys.exit(any(value >= bar for _, value, bar in bars) or services == 0)


main()
