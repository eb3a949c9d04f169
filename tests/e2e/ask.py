#!/usr/bin/env python3
"""Asks Prometheus, Loki and Tempo until they answer as they should, and says what they hold.

    ask.py targets PROMETHEUS NAMESPACE JOB...
    ask.py queries promql|logql|tempo URL FILE
    ask.py lines LOKI QUERY UNWANTED
    ask.py trace TEMPO LOKI TRACE_ID
    ask.py rules PROMETHEUS

Addresses are those of the programs' HTTP APIs. Exits 1, with what was missing, when the time is over. `lines`
also fails when UNWANTED is in one of the lines that QUERY finds.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


# A node may take more than a minute to hand Prometheus the configuration that the operator wrote.
WITHIN_SECONDS = 150


class Missing(Exception):
    """What is not there, or not yet."""


def get(address, **query):
    try:
        with urllib.request.urlopen(f"{address}?{urllib.parse.urlencode(query)}", timeout=20) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Missing(f"{address} answers {error.code}: {error.read(300).decode(errors='replace')}") from error
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
        raise Missing(f"{address}: {error}") from error


def eventually(ask):
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        try:
            return ask()
        except Missing as missing:
            if time.monotonic() >= deadline:
                sys.exit(f"missing: {missing}")
            time.sleep(0.5)


def targets(address, namespace, jobs):
    found = [each for each in get(address + "/api/v1/targets", state="active")["data"]["activeTargets"]
             if each["labels"].get("namespace") == namespace]
    down = [f"{each['scrapeUrl']} {each['health']} {each['lastError']}" for each in found if each["health"] != "up"]
    if down:
        raise Missing("; ".join(down))
    absent = set(jobs) - {each["labels"]["job"] for each in found}
    if absent:
        raise Missing("no target of " + ", ".join(sorted(absent)))
    return f"{len(found)} targets up: " + ", ".join(sorted({each["labels"]["job"] for each in found}))


def rules(address):
    found = [rule for group in get(address + "/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
    faulty = [f"{rule['name']}: {rule.get('lastError')}" for rule in found if rule["health"] != "ok"]
    if not found or faulty:
        raise Missing("; ".join(faulty) or "Prometheus has no rules")
    return f"{len(found)} rules evaluated"


def promql(address, query):
    result = get(address + "/api/v1/query", query=query)["data"]["result"]
    numbers = [each for each in result if each["value"][1] != "NaN"]
    if not numbers:
        raise Missing(f"{query} has {'only NaN' if result else 'no series'}")
    return f"{len(numbers)} series"


def logql(address, query):
    now = time.time_ns()
    result = get(address + "/loki/api/v1/query_range", query=query, start=now - 3600 * 10**9, end=now, limit=1000)
    lines = [value[1] for stream in result["data"]["result"] for value in stream["values"]]
    if not lines:
        raise Missing(f"{query} has no line")
    return lines


def tempo(address, query):
    """`service.name="frontend"` and the like are tags; `duration > 1s` is a search of its own kind."""
    if query.startswith("duration > "):
        parameters = {"minDuration": query.removeprefix("duration > ")}
    else:
        parameters = {"tags": query.removeprefix("span.").replace('"', "")}
    found = get(address + "/api/search", limit=20, **parameters).get("traces") or []
    if not found:
        raise Missing(f"{query} has no trace")
    return f"{len(found)} traces"


def queries(kind, address, file):
    ask = {"promql": promql, "logql": logql, "tempo": tempo}[kind]
    with open(file, encoding="utf-8") as lines:
        wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for query in wanted:
        found = eventually(lambda: ask(address, query))
        print(f"  {query}: {found if isinstance(found, str) else f'{len(found)} lines'}", file=sys.stderr)
    return f"{len(wanted)} {kind} queries return data"


def lines_without(address, query, unwanted):
    lines = eventually(lambda: logql(address, query))
    for line in lines:
        if unwanted in line:
            sys.exit(f"unwanted: {line}")
    return f"{len(lines)} lines of {query}, none with {unwanted}"


def spans_of(address, trace_id):
    """(service, name) of each span of a trace, and whether its parent is in it."""
    spans = []
    for batch in get(f"{address}/api/traces/{trace_id}").get("batches", []):
        resource = {each["key"]: each["value"].get("stringValue") for each in batch["resource"].get("attributes", [])}
        for scope in batch.get("scopeSpans", batch.get("instrumentationLibrarySpans", [])):
            spans += [(resource, span) for span in scope["spans"]]
    return spans


EXPECTED = [("frontend", "GET /roll"), ("frontend", "GET"), ("dice-roller", "GET /roll"), ("dice-roller", "GET"),
            ("dice-roller", "roll"), ("die-service", "GET /dice/{die}"), ("die-service", "SELECT dice")]


def whole_trace(address, trace_id):
    spans = spans_of(address, trace_id)
    absent = set(EXPECTED) - {(resource.get("service.name"), span["name"]) for resource, span in spans}
    if absent:
        raise Missing(f"trace {trace_id} lacks " + ", ".join(" ".join(each) for each in sorted(absent)))
    identifiers = {span["spanId"] for _, span in spans}
    roots = [span["name"] for _, span in spans if span.get("parentSpanId") not in identifiers]
    if roots != ["GET /roll"]:
        raise Missing(f"trace {trace_id} hangs together badly: its roots are {roots}")
    nameless = [resource.get("service.name") for resource, _ in spans if not resource.get("k8s.pod.name")]
    if nameless:
        raise Missing(f"spans of {', '.join(sorted(set(nameless)))} do not say from which pod they are")
    return len(spans)


def lines_of_trace(address, trace_id):
    lines = logql(address, f'{{container_name=~"frontend|dice-roller|die-service"}} | trace_id="{trace_id}"')
    services = {json.loads(line)["service"] for line in lines}
    absent = {"frontend", "dice-roller", "die-service"} - services
    if absent:
        raise Missing(f"no log line of {', '.join(sorted(absent))} has trace id {trace_id}")
    return len(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["targets", "rules", "queries", "lines", "trace"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    first, *rest = options.arguments
    if options.command == "targets":
        print(eventually(lambda: targets(first, rest[0], rest[1:])))
    elif options.command == "rules":
        print(eventually(lambda: rules(first)))
    elif options.command == "queries":
        print(queries(first, rest[0], rest[1]))
    elif options.command == "lines":
        print(lines_without(first, rest[0], rest[1]))
    else:
        spans = eventually(lambda: whole_trace(first, rest[1]))
        lines = eventually(lambda: lines_of_trace(rest[0], rest[1]))
        print(f"{spans} spans from frontend to SQL, {lines} log lines of all three services by their trace id")


main()
