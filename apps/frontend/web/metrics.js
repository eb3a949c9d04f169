// What the Prometheus text of a service says about its load: rates come from two readings of its counters.

const kLine = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const kLabel = /(\w+)="((?:[^"\\]|\\.)*)"/g;
// What the page itself and the machinery ask is no load.
const kNoLoad = /^\/(page\/|traces\/|metrics$|livez$|readyz$|healthz$)|\.\w+$/;

// What was left out because too many spans waited for the collector.
const kLost = { otel_sdk_sampler_trace_unsampled_total: 'trace', otel_sdk_processor_span_dropped_total: 'span' };

// { requests, errors, buckets: upper bound → count, pool: { size, available } or null, lost: { trace, span } }
export function readMetrics(text) {
  const reading = { requests: 0, errors: 0, buckets: new Map(), pool: null, lost: { trace: 0, span: 0 } };
  for (const line of text.split('\n')) {
    const [, name, labelText = '', number] = kLine.exec(line) ?? [];
    if (!name) continue;
    const labels = Object.fromEntries([...labelText.matchAll(kLabel)].map(([, key, value]) => [key, value]));
    const value = Number(number);
    const pool = /^database_connection_pool_(size|available)$/.exec(name);
    if (pool) {
      reading.pool = { ...reading.pool, [pool[1]]: value };
    } else if (kLost[name]) {
      reading.lost[kLost[name]] += value;
    } else if (!labels.route || kNoLoad.test(labels.route)) {
      continue;
    } else if (name === 'http_requests_total') {
      reading.requests += value;
      if (Number(labels.status) >= 500) reading.errors += value;
    } else if (name === 'http_request_duration_seconds_bucket') {
      const bound = labels.le === '+Inf' ? Infinity : Number(labels.le);
      reading.buckets.set(bound, (reading.buckets.get(bound) ?? 0) + value);
    }
  }
  return reading;
}

// The value below which `share` of the observations between two readings lie, taken as even within a bucket. Of the first
// and the last bucket only the bound is known: { sign: '<', '>' or '', seconds }. null without observations.
export function quantile(share, before, after) {
  const buckets = [...after.buckets].map(([bound, count]) => [bound, count - (before.buckets.get(bound) ?? 0)]).sort((a, b) => a[0] - b[0]);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (!(total > 0)) return null;
  const at = buckets.findIndex(([, count]) => count >= share * total);
  const [bound, count] = buckets[at];
  if (at === 0) return { sign: '<', seconds: bound };
  const [lower, below] = buckets[at - 1];
  if (bound === Infinity) return { sign: '>', seconds: lower };
  return { sign: '', seconds: lower + ((share * total - below) / (count - below)) * (bound - lower) };
}

// A counter goes down only when its service begins anew.
const beganAnew = (before, after) => after.requests < before.requests || after.errors < before.errors ||
  [...before.buckets].some(([bound, count]) => !(after.buckets.get(bound) >= count));

// What happened between two readings; null when one is missing or the service began anew between them.
export function load(before, after, seconds) {
  if (!before || !after || !(seconds > 0) || beganAnew(before, after)) return null;
  const requests = after.requests - before.requests;
  const errors = after.errors - before.errors;
  return { rate: requests / seconds, errorShare: requests ? errors / requests : 0, p95: quantile(0.95, before, after) };
}
