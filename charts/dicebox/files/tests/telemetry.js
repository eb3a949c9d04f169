// helm test: rolls a die through frontend and looks for what the release promises to tell about that roll.
//
// Prints one line for each promise, and fails when one is broken. NAMESPACE, STORE and ALLOY describe the release, the
// *_URL variables say whom to ask; a promise about something that has no address is not tested. *_ADMIN_URL is where a
// service tells of itself, when that is not where it takes requests. PATIENCE_SECONDS is how long the services may take
// to be ready, and then telemetry to arrive.

import { check, sleep } from 'k6';
import http from 'k6/http';
import { traced } from './trace.js';

const namespace = __ENV.NAMESPACE;
const services = {
  frontend: __ENV.FRONTEND_URL,
  'dice-roller': __ENV.DICE_ROLLER_URL,
  'die-service': __ENV.DIE_SERVICE_URL,
};
const admin = {
  frontend: __ENV.FRONTEND_ADMIN_URL || services.frontend,
  'dice-roller': __ENV.DICE_ROLLER_ADMIN_URL || services['dice-roller'],
  'die-service': __ENV.DIE_SERVICE_ADMIN_URL || services['die-service'],
};
const onPostgres = __ENV.STORE === 'postgres';
const patience = Number(__ENV.PATIENCE_SECONDS);

export const options = {
  vus: 1,
  iterations: 1,
  thresholds: { checks: ['rate==1'] },
};

// The lines that promise() prints are the summary.
export const handleSummary = () => ({});

// Holds when `broken` returns nothing before the deadline; what it returns says how the promise is broken.
function promise(text, deadline, broken) {
  let reason = broken();
  while (reason && Date.now() < deadline) {
    sleep(0.5);
    reason = broken();
  }
  if (reason) console.error(`BROKEN  ${text}: ${reason}`);
  else console.log(`ok      ${text}`);
  check(reason, { [text]: () => !reason });
}

const now = 0;
const within = (seconds) => Date.now() + 1000 * seconds;

const get = (url, headers = {}) => http.get(url, { headers, timeout: '5s' });

const shown = (answer) => answer.error || `${answer.status} ${String(answer.body).slice(0, 300)}`;

function json(answer) {
  try {
    return answer.json();
  } catch (_) {
    return {};
  }
}

// ---- what the services answer

function ready(name) {
  const answer = get(`${admin[name]}/readyz`);
  return answer.status === 200 ? '' : shown(answer);
}

// Rolls a die that does not fail on purpose, if there is one. Leaves the die and the trace's id in `roll`.
function rolled(roll) {
  const list = get(`${services.frontend}/dice`);
  const dice = json(list).dice || [];
  if (dice.length === 0) return `GET /dice: ${shown(list)}`;
  const die = dice.includes('fair') ? 'fair' : dice[0];
  const headers = traced();
  const answer = get(`${services.frontend}/roll?die=${die}`, headers);
  const { result, trace_id: id } = json(answer);
  if (answer.status !== 200 || !Number.isInteger(result)) return `GET /roll?die=${die}: ${shown(answer)}`;
  roll.die = die;
  roll.traceId = headers.traceparent.split('-')[1];
  return id === roll.traceId ? '' : `asked with trace id ${roll.traceId}, answered with ${id}`;
}

function rolledMany(die) {
  const answer = get(`${services.frontend}/roll-async?die=${die}&times=10`);
  const results = json(answer).results || [];
  return answer.status === 200 && results.length === 10 ? '' : shown(answer);
}

function unknownDieIsRefused() {
  const atDieService = get(`${services['die-service']}/dice/no-such-die`);
  if (atDieService.status !== 404) return `die-service answers ${shown(atDieService)}`;
  const atFrontend = get(`${services.frontend}/roll?die=no-such-die`);
  return atFrontend.status === 503 ? '' : `frontend answers ${shown(atFrontend)}`;
}

const exposed = {
  frontend: ['http_requests_total', 'http_request_duration_seconds_bucket'],
  'dice-roller': ['dice_rolls_total', 'die_service_requests_total', 'die_service_request_duration_seconds_bucket'],
  'die-service': ['die_specifications_requested_total', 'die_specifications_loaded'].concat(
    onPostgres ? ['database_queries_total', 'database_connection_pool_size'] : []),
};

function lacksMetrics(url, names) {
  const answer = get(`${url}/metrics`);
  const missing = names.filter((name) => !new RegExp(`^${name}[{ ]`, 'm').test(String(answer.body)));
  return missing.length === 0 ? '' : `${missing.join(', ')} not at ${url}/metrics (${answer.status})`;
}

// Only frontend asks the other two for the page, so a policy or an address can keep just that from working.
function pageLacksMetrics() {
  const answer = get(`${services.frontend}/page/metrics`);
  const silent = Object.keys(services).filter((name) => !json(answer)[name]);
  return silent.length === 0 ? '' : `nothing of ${silent.join(', ')} at GET /page/metrics (${shown(answer)})`;
}

// ---- what arrived

function prometheus(query) {
  const answer = get(`${__ENV.PROMETHEUS_URL}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data } = json(answer);
  return data ? { result: data.result } : { broken: `Prometheus answers ${shown(answer)}` };
}

function jobIsDown(job) {
  const { result, broken } = prometheus(`up{namespace="${namespace}",job="${job}"}`);
  if (broken) return broken;
  if (result.length === 0) {
    return `no target with job="${job}" in namespace ${namespace}; does Prometheus select the ServiceMonitor?`;
  }
  const down = result.filter(({ value }) => value[1] !== '1').map(({ metric }) => metric.pod);
  return down.length === 0 ? '' : `down: ${down.join(', ')}`;
}

// What each pod counted: Prometheus remembers one that is gone for some minutes, so that a sum over all may fall.
function countedRolls() {
  const { result } = prometheus(`sum by (pod) (dice_rolls_total{namespace="${namespace}",job="dice-roller"})`);
  return Object.fromEntries((result || []).map(({ metric, value }) => [metric.pod, Number(value[1])]));
}

// A value that fell and is not 0 is of a container that started anew and has rolled since.
function rollIsNotCounted(before) {
  const after = countedRolls();
  if (Object.keys(after).some((pod) => after[pod] > 0 && after[pod] !== before[pod])) return '';
  return `dice_rolls_total was ${JSON.stringify(before)} before the rolls and is ${JSON.stringify(after)}`;
}

function logIsMissing(service, traceId) {
  const query = `{namespace="${namespace}",container_name="${service}",service_name="${service}",level="INFO"}` +
    ` | trace_id="${traceId}" | span_id!=""`;
  const answer = get(`${__ENV.LOKI_URL}/loki/api/v1/query_range?query=${encodeURIComponent(query)}`);
  const { data } = json(answer);
  if (!data) return `Loki answers ${shown(answer)}`;
  return data.result.length > 0 ? '' : `nothing for ${query}`;
}

const attribute = (list, key) => {
  const found = (list || []).find((entry) => entry.key === key);
  return found && found.value.stringValue;
};

// The spans of a trace; Tempo's names for the lists have changed over time.
function spansOf(trace) {
  const spans = [];
  for (const batch of trace.batches || trace.resourceSpans || []) {
    const resource = batch.resource.attributes;
    for (const scope of batch.scopeSpans || batch.instrumentationLibrarySpans || []) {
      for (const { name, kind, spanId, parentSpanId } of scope.spans) {
        spans.push({
          resource, spanId, parentSpanId,
          title: `${attribute(resource, 'service.name')}: ${name} (${String(kind).replace('SPAN_KIND_', '').toLowerCase()})`,
        });
      }
    }
  }
  return spans;
}

const wholeTrace = [
  'frontend: GET /roll (server)',
  'frontend: GET (client)',
  'dice-roller: GET /roll (server)',
  'dice-roller: GET (client)',
  'die-service: GET /dice/{die} (server)',
  'dice-roller: roll (internal)',
].concat(onPostgres ? ['die-service: SELECT dice (client)'] : []);

function traceIsIncomplete(traceId, keep) {
  const answer = get(`${__ENV.TEMPO_URL}/api/traces/${traceId}`, { Accept: 'application/json' });
  if (answer.status !== 200) return `Tempo answers ${shown(answer)} for ${traceId}`;
  keep.spans = spansOf(json(answer));
  const titles = keep.spans.map(({ title }) => title);
  const missing = wholeTrace.filter((title) => !titles.includes(title));
  if (missing.length > 0) return `of trace ${traceId} is missing: ${missing.join(', ')}`;
  const ids = keep.spans.map(({ spanId }) => spanId);
  const orphans = keep.spans.filter(({ parentSpanId }) => !ids.includes(parentSpanId)).map(({ title }) => title);
  return orphans.length === 1 && orphans[0] === wholeTrace[0] ? '' : `spans without their parent: ${orphans.join(', ')}`;
}

function podsAreUnnamed(spans) {
  if (spans.length === 0) return 'there is no span';
  const wanted = ['k8s.pod.name', 'k8s.node.name'].concat(__ENV.ALLOY ? ['k8s.deployment.name'] : []);
  for (const { title, resource } of spans) {
    if (attribute(resource, 'k8s.namespace.name') !== namespace) return `${title} is not from namespace ${namespace}`;
    const missing = wanted.filter((key) => !attribute(resource, key));
    if (missing.length > 0) return `${title} has no ${missing.join(', ')}`;
  }
  return '';
}

export default function () {
  const before = __ENV.PROMETHEUS_URL ? countedRolls() : {};
  const roll = {};
  const start = within(patience);
  for (const name of Object.keys(services)) promise(`${name} is ready`, start, () => ready(name));
  promise('a roll through frontend gives a number and the trace it was asked with', start, () => rolled(roll));
  promise('ten rolls at once give ten results', start, () => rolledMany(roll.die));
  promise('an unknown die is 404 at die-service and 503 at frontend', now, unknownDieIsRefused);
  for (const [name, url] of Object.entries(admin)) {
    promise(`${name} exposes its metrics`, now, () => lacksMetrics(url, exposed[name]));
  }
  promise('the page can read the metrics of every service', start, pageLacksMetrics);
  if (__ENV.EXPORTER_URL) {
    promise('postgres-exporter exposes the metrics of PostgreSQL', start, () => lacksMetrics(__ENV.EXPORTER_URL,
      ['pg_up', 'pg_stat_database_numbackends', 'pg_stat_activity_count', 'pg_database_size_bytes']));
  }

  // One time for all: what has not arrived by then is late.
  const arrival = within(patience);
  if (__ENV.PROMETHEUS_URL) {
    const jobs = Object.keys(services)
      .concat(__ENV.EXPORTER_URL ? ['postgres-exporter'] : [])
      .concat(__ENV.ALLOY ? ['alloy'] : []);
    for (const job of jobs) promise(`Prometheus scrapes ${job}`, arrival, () => jobIsDown(job));
    promise('Prometheus counted the rolls', arrival, () => rollIsNotCounted(before));
  }
  if (__ENV.LOKI_URL) {
    for (const name of Object.keys(services)) {
      promise(`Loki gives the log of ${name} by the trace's id`, arrival, () => logIsMissing(name, roll.traceId));
    }
  }
  if (__ENV.TEMPO_URL) {
    const trace = { spans: [] };
    promise('Tempo has the whole trace', arrival, () => traceIsIncomplete(roll.traceId, trace));
    promise('each span names its pod', now, () => podsAreUnnamed(trace.spans));
  }
}
