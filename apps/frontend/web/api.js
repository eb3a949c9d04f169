// The frontend's routes as functions. Each resolves to { data, traceId, sampled, durationMs } or throws a Problem. Those
// that take a `signal` stop when it is aborted, with a Problem of the type "stopped".

// Longer than the ten seconds the services allow themselves, so that their own answer arrives first.
const kTimeoutMs = 15000;

// What went wrong, as RFC 9457 tells it. `type` is the last part of the urn ("roll-failed"). The types
// "frontend-unreachable", "frontend-timeout" and "frontend-invalid" are the page's own.
export class Problem extends Error {
  constructor({ type, title = '', status = 0, detail = '', traceId = '', sampled = true, retryAfter = 0, durationMs = 0 }) {
    super(detail || title || type);
    Object.assign(this, { type, title, status, detail, traceId, sampled, retryAfter, durationMs });
  }

  // What was caught, if it is a problem; a fault of the page itself is thrown again.
  static of(caught) {
    if (caught instanceof Problem) return caught;
    throw caught;
  }
}

// Of a trace that is not sampled nobody keeps a span.
function traceOf(response, body) {
  const header = response.headers.get('traceresponse') ?? '';
  const id = body?.trace_id ?? header.split('-')[1] ?? '';
  return { traceId: /^[0-9a-f]{32}$/.test(id) ? id : '', sampled: !header.endsWith('-00') };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function get(path, isValid, signal) {
  const started = performance.now();
  const timeout = AbortSignal.timeout(kTimeoutMs);
  let response;
  let body;
  try {
    response = await fetch(path, {
      cache: 'no-store',
      signal: signal ? AbortSignal.any([timeout, signal]) : timeout,
    });
    body = parse(await response.text());
  } catch (cause) {
    const type = { AbortError: 'stopped', TimeoutError: 'frontend-timeout' }[cause.name] ?? 'frontend-unreachable';
    throw new Problem({ type, durationMs: performance.now() - started });
  }
  const durationMs = performance.now() - started;
  const trace = traceOf(response, body);
  if (!response.ok) {
    throw new Problem({
      type: String(body?.type ?? '').split(':').pop() || 'frontend-invalid',
      title: body?.title,
      status: response.status,
      detail: body?.detail,
      retryAfter: Number(response.headers.get('Retry-After')) || 0,
      ...trace,
      durationMs,
    });
  }
  if (!isValid(body)) throw new Problem({ type: 'frontend-invalid', status: response.status, ...trace, durationMs });
  return { data: body, ...trace, durationMs };
}

const isFace = Number.isInteger;

export function listDice() {
  return get('dice', (body) => Array.isArray(body?.dice) && body.dice.every((die) => typeof die === 'string'));
}

export function describeDie(die) {
  return get(`dice/${encodeURIComponent(die)}`, (body) =>
    Array.isArray(body?.faces) && body.faces.length > 0 && body.faces.every(isFace) &&
    typeof body.probabilities === 'object' && body.probabilities !== null);
}

export function rollOnce(die, signal) {
  return get(`roll?die=${encodeURIComponent(die)}`, (body) => isFace(body?.result), signal);
}

export function rollMany(die, times, signal) {
  return get(`roll-async?die=${encodeURIComponent(die)}&times=${times}`, (body) =>
    Array.isArray(body?.results) && body.results.every((result) => result === null || isFace(result)), signal);
}

// What frontend knows of itself: where traces and log lines come from ("store", "services" or "none"), and link templates.
export const getSettings = () => get('page/settings', (body) => typeof body?.traces === 'string' && typeof body?.logs === 'string');

export const getTrace = (id, signal) => get(`page/traces/${id}`, (body) => Array.isArray(body?.spans), signal);

// For each service the text of its metrics, or null when it does not answer.
export const getMetrics = () => get('page/metrics', (body) => typeof body?.frontend === 'string');
