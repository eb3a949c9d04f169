"""Proves that `helm test` finds what it looks for, and says what is broken when something is.

Usage: promises.py K6

Runs the chart's telemetry.js against a world of its own: the three services, Prometheus, Loki and Tempo, as far as the
script asks them; whole, then with one thing broken at a time.
"""

import concurrent.futures
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("frontend", "dice-roller", "die-service")
METRICS = {
    "frontend": ["http_requests_total", "http_request_duration_seconds_bucket"],
    "dice-roller": ["dice_rolls_total", "die_service_requests_total", "die_service_request_duration_seconds_bucket"],
    "die-service": ["die_specifications_requested_total", "die_specifications_loaded", "database_queries_total",
                    "database_connection_pool_size"],
    "postgres-exporter": ["pg_up", "pg_stat_database_numbackends", "pg_stat_activity_count", "pg_database_size_bytes"],
}
# Service, name and kind of each span, and which one is its parent.
SPANS = [
    ("frontend", "GET /roll", "SERVER", None), ("frontend", "GET", "CLIENT", 0),
    ("dice-roller", "GET /roll", "SERVER", 1), ("dice-roller", "GET", "CLIENT", 2),
    ("die-service", "GET /dice/{die}", "SERVER", 3), ("die-service", "SELECT dice", "CLIENT", 4),
    ("dice-roller", "roll", "INTERNAL", 2),
]
# What is broken, and what the script must say about it.
CASES = {
    None: None,
    "not ready": "BROKEN  die-service is ready: 503 no database",
    "other trace": "BROKEN  a roll through frontend gives a number and the trace it was asked with: asked with trace id",
    "lost results": "BROKEN  ten rolls at once give ten results",
    "unknown die accepted": "BROKEN  an unknown die is 404 at die-service and 503 at frontend: frontend answers 200",
    "no pool metric": "BROKEN  die-service exposes its metrics: database_connection_pool_size not at",
    "page without metrics": "BROKEN  the page can read the metrics of every service: nothing of die-service at GET /page/metrics",
    # Without an admin port the main one answers everything.
    "no admin port": None,
    "exporter without database": "BROKEN  postgres-exporter exposes the metrics of PostgreSQL: pg_database_size_bytes not at",
    "not scraped": "BROKEN  Prometheus scrapes dice-roller: no target with job=\"dice-roller\" in namespace dice",
    "target down": "BROKEN  Prometheus scrapes dice-roller: down: dice-roller-0",
    # A rollout a few minutes ago, after which all is well: Prometheus forgets the old pod meanwhile.
    "old pod forgotten": None,
    "not counted": "BROKEN  Prometheus counted the rolls: dice_rolls_total was {\"dice-roller-0\":7} before the rolls and is",
    "never counted": "BROKEN  Prometheus counted the rolls: dice_rolls_total was {} before the rolls and is {\"dice-roller-0\":0}",
    "no log": "BROKEN  Loki gives the log of dice-roller by the trace's id: nothing for",
    "no trace": "BROKEN  Tempo has the whole trace: Tempo answers 404",
    "no SQL span": "is missing: die-service: SELECT dice (client)",
    "orphan": "BROKEN  Tempo has the whole trace: spans without their parent: frontend: GET /roll (server), dice-roller: GET (client)",
    "other namespace": "BROKEN  each span names its pod: frontend: GET /roll (server) is not from namespace dice",
    "no Deployment": "BROKEN  each span names its pod: frontend: GET /roll (server) has no k8s.deployment.name",
}


class World(http.server.BaseHTTPRequestHandler):
    """The first part of a path says who is asked; server.broken what is wrong with the world."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        who, _, path = url.path[1:].partition("/")
        # What an exclusive admin port serves, the main one does not, nor the other way round.
        if who.removesuffix("-admin") in SERVICES and not self.is_broken("no admin port"):
            if who.endswith("-admin") != (path in ("readyz", "metrics")):
                path = "nothing"
            who = who.removesuffix("-admin")
        query = dict(urllib.parse.parse_qsl(url.query))
        status, body = getattr(self, who.replace("-", "_"), self.service)(who, path, query)
        body = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def is_broken(self, what):
        return self.server.broken == what

    def service(self, who, path, query):
        if path == "nothing":
            return 404, "not found"
        if path == "page/metrics":
            silent = "die-service" if self.is_broken("page without metrics") else None
            return 200, {name: None if name == silent else "up 1\n" for name in SERVICES}
        if path == "readyz":
            return (503, "no database") if self.is_broken("not ready") and who == "die-service" else (200, "ready")
        if path == "metrics":
            left_out = {"no pool metric": "database_connection_pool_size",
                        "exporter without database": "pg_database_size_bytes"}.get(self.server.broken)
            return 200, "".join(f'{name}{{a="b"}} 1\n' for name in METRICS[who] if name != left_out)
        if path == "dice":
            return 200, {"dice": ["extreme", "fair"]}
        if path == "dice/no-such-die":
            return 404, {}
        if query["die"] == "no-such-die" and not self.is_broken("unknown die accepted"):
            return 503, {}
        if path == "roll-async":
            return 200, {"results": [1] * (9 if self.is_broken("lost results") else int(query["times"]))}
        self.server.rolls += 1
        trace = self.headers.get("traceparent", "00-0-0-0").split("-")[1]
        return 200, {"result": 4, "trace_id": "0" * 32 if self.is_broken("other trace") else trace}

    def prometheus(self, _, __, query):
        job = re.search(r'job="([^"]+)"', query["query"])[1]
        if query["query"].startswith("sum by (pod) (dice_rolls_total"):
            rolls = {"dice-roller-0": 7 + self.server.rolls}
            if self.is_broken("not counted"):
                rolls = {"dice-roller-0": 7}
            elif self.is_broken("never counted"):
                rolls = {"dice-roller-0": 0} if self.server.rolls else {}
            elif self.is_broken("old pod forgotten"):
                rolls = {"dice-roller-1": self.server.rolls} if self.server.rolls else {"dice-roller-0": 99}
            result = [{"metric": {"pod": pod}, "value": [0, str(value)]} for pod, value in rolls.items()]
        elif self.is_broken("not scraped") and job == "dice-roller":
            result = []
        else:
            down = self.is_broken("target down") and job == "dice-roller"
            result = [{"metric": {"pod": f"{job}-0"}, "value": [0, "0" if down else "1"]}]
        return 200, {"data": {"result": result}}

    def loki(self, _, __, query):
        missing = self.is_broken("no log") and 'container_name="dice-roller"' in query["query"]
        return 200, {"data": {"result": [] if missing else [{"values": [["0", "{}"]]}]}}

    def tempo(self, *_):
        if self.is_broken("no trace"):
            return 404, "trace not found"
        batches = []
        for number, (service, name, kind, parent) in enumerate(SPANS):
            if name == "SELECT dice" and self.is_broken("no SQL span"):
                continue
            if number == 3 and self.is_broken("orphan"):
                parent = 99
            attributes = {"service.name": service, "k8s.pod.name": f"{service}-0", "k8s.node.name": "node",
                          "k8s.namespace.name": "dicebox" if self.is_broken("other namespace") else "dice"}
            if not self.is_broken("no Deployment"):
                attributes["k8s.deployment.name"] = service
            span = {"name": name, "kind": f"SPAN_KIND_{kind}", "spanId": f"span{number}",
                    "parentSpanId": "outside" if parent is None else f"span{parent}"}
            resource = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
            batches.append({"resource": {"attributes": resource}, "scopeSpans": [{"spans": [span]}]})
        return 200, {"batches": batches}


def run(k6, scripts, broken):
    """What is wrong with the script's judgement of one world."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), World)
    server.broken, server.rolls = broken, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {"NAMESPACE": "dice", "STORE": "postgres", "ALLOY": "true", "PATIENCE_SECONDS": "0"}
    for who in (*SERVICES, "prometheus", "loki", "tempo"):
        environment[who.replace("-", "_").upper() + "_URL"] = f"{base}/{who}"
    if broken != "no admin port":
        for who in SERVICES:
            environment[who.replace("-", "_").upper() + "_ADMIN_URL"] = f"{base}/{who}-admin"
    environment["EXPORTER_URL"] = f"{base}/postgres-exporter"
    program = subprocess.run(
        [k6, "run", "--quiet", "--no-usage-report", "--log-output=stdout", "--log-format=raw", scripts / "telemetry.js"],
        env=environment, capture_output=True, text=True)
    server.shutdown()
    lines = program.stdout.splitlines()
    told = [line for line in lines if line.startswith("BROKEN")]
    if CASES[broken] is None:
        good = program.returncode == 0 and not told and len([line for line in lines if line.startswith("ok ")]) == 22
    else:
        good = program.returncode != 0 and any(CASES[broken] in line for line in told)
        # One broken thing breaks no other promise, but that a trace without spans names no pod.
        good = good and len(told) == (2 if broken in ("no trace",) else 1)
    return "" if good else f"with '{broken}' broken, status {program.returncode}:\n{program.stdout}{program.stderr}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        scripts = pathlib.Path(folder)
        shutil.copy(ROOT / "charts/dicebox/files/tests/telemetry.js", scripts)
        shutil.copy(ROOT / "k8s/k6/base/trace.js", scripts)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda broken: run(sys.argv[1], scripts, broken), CASES))
    problems = [result for result in results if result]
    whole = list(CASES.values()).count(None)
    print("\n".join(problems) or f"{whole} whole worlds and {len(CASES) - whole} broken ones judged")
    return bool(problems)


sys.exit(main())
