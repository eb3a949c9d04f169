// A trace as a tree, and the wait for the spans that are still on their way.

import { Problem, getTrace } from './api.js';

const kPatienceMs = 12000;
const kFirstDelayMs = 250;
const kMaxDelayMs = 2000;

// The spans in the order of a waterfall, each with its `depth`, the one `above` it, its `children` and a `label` that tells
// it from others.
export function arrange(spans) {
  const nodes = new Map(spans.map((span) => [span.id, { ...span, children: [] }]));
  const roots = [];
  for (const node of nodes.values()) (nodes.get(node.parent)?.children ?? roots).push(node);
  const byStart = (a, b) => a.start_us - b.start_us;
  const reached = new Set();
  const visit = (node, depth, above) => {
    reached.add(node);
    Object.assign(node, { depth, above });
    node.children = node.children.filter((child) => !reached.has(child)).sort(byStart);
    const callee = node.kind === 'client' && node.children.find((child) => child.service !== node.service);
    const index = node.attributes['roll.index'];
    node.label = callee ? `${node.name} → ${callee.service}` : index === undefined ? node.name : `${node.name} ${index}`;
    for (const child of node.children) visit(child, depth + 1, node);
  };
  for (const root of roots.sort(byStart)) visit(root, 0, null);
  // Where parents go in a circle, it is entered at its earliest span.
  for (const node of [...nodes.values()].sort(byStart)) {
    if (reached.has(node)) continue;
    roots.push(node);
    visit(node, 0, null);
  }
  return roots;
}

export const withAllBelow = (node) => [node, ...node.children.flatMap(withAllBelow)];

// When the first of some spans begins and the last ends.
export const extent = (spans) => [
  Math.min(...spans.map((span) => span.start_us)),
  Math.max(...spans.map((span) => span.start_us + span.duration_us)),
];

// Nothing is missing: every parent is there, and behind every call that was answered the span of who answered it.
export function isComplete(spans) {
  const ids = new Set(spans.map(({ id }) => id));
  const parents = new Set(spans.map(({ parent }) => parent));
  return spans.length > 0 && spans.every((span) =>
    (!span.parent || ids.has(span.parent)) &&
    !(span.attributes['http.response.status_code'] && span.kind === 'client' && !parents.has(span.id)));
}

// A log store gets its lines later than a trace store its spans: every service writes one of each request.
export function hasLines({ spans, logs }) {
  const services = new Set(logs.map(({ service }) => service));
  return spans.every(({ service }) => services.has(service));
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Asks until the trace is complete, `withLines` its log lines too, or patience ends; `onUpdate(trace, problem, waiting)` is
// told of every answer.
export async function follow(id, withLines, signal, onUpdate) {
  const end = performance.now() + kPatienceMs;
  for (let delay = kFirstDelayMs; ; delay = Math.min(delay * 2, kMaxDelayMs)) {
    let trace = null;
    let problem = null;
    try {
      trace = (await getTrace(id, signal)).data;
    } catch (failure) {
      problem = Problem.of(failure);
    }
    if (signal.aborted) return;
    const whole = trace && isComplete(trace.spans) && (!withLines || hasLines(trace));
    const waiting = !whole && performance.now() < end;
    onUpdate(trace, problem, waiting);
    if (!waiting) return;
    await pause(delay);
  }
}
