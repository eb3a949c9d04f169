// The card that shows what one request did: a waterfall of its spans, the details of one, and its log lines.

import { byId, cell, fill, html, rowHead, say } from './dom.js';
import { arrange, extent, follow, isComplete, withAllBelow } from './trace.js';
import { drawWaterfall, listen, rowsOf } from './waterfall.js';
import { duration, explain, plural } from './words.js';

const kMaxLines = 100;
const kLineMembers = ['timestamp', 'level', 'message', 'service', 'trace_id', 'span_id', 'trace_flags'];
const kLooking = 'Looking for the spans of this request…';
const kUnsampled = 'This request was not sampled, so no service kept its spans. The load of each service tells when traces are left out.';
const kNothing = {
  none: 'To see spans here, start the services with TRACE_BUFFER_BYTES, or frontend with TRACE_QUERY_URL.',
  services: 'No service remembers this trace: it was not sampled, or newer ones took its place.',
  store: 'The trace store does not know this trace.',
};

export class TraceCard {
  #settings;
  #stop = new AbortController();
  #trace = null;        // the one on show
  #pending = false;     // another is looked for, until when the one before stays in its place
  #picked = null;       // the span that the user chose
  #roots = [];
  #colors = new Map();  // service → number
  #limits = new Map();  // what was unfolded
  #selected = null;

  // `settings()` gives what getSettings() gave: { traces, logs, links }.
  constructor(settings) {
    this.#settings = settings;
    listen(byId('waterfall'), (id) => this.#pick(id));
    new ResizeObserver(() => this.#draw()).observe(byId('trace-status'));
  }

  // Shows a trace as soon as its spans are known, instead of the one before. There are none where it is not `sampled`.
  async show(id, sampled = true) {
    const { traces, logs, links } = this.#settings();
    this.#stop.abort();
    this.#stop = new AbortController();
    fill('trace-links', [['Open the trace', links.trace], ['Open its log lines', links.logs]]
      .filter(([, link]) => id && link).map(([words, link]) => html('a', { href: link.replaceAll('{trace_id}', id) }, words)));
    if (!id) return this.#clear('No answer came, so there is nothing to follow.');
    if (traces === 'none') return this.#clear(kNothing.none);
    if (!sampled) return this.#clear(kUnsampled);
    this.#pending = true;
    byId('trace-view').setAttribute('aria-busy', 'true');
    say('trace-status', kLooking);
    await follow(id, logs === 'store', this.#stop.signal, (...update) => this.#update(...update));
  }

  #clear(words) {
    this.#forget();
    byId('trace-view').hidden = true;
    say('trace-status', words);
  }

  #forget() {
    this.#trace = this.#selected = this.#picked = null;
    this.#pending = false;
    this.#colors.clear();
    this.#limits.clear();
    byId('trace-view').removeAttribute('aria-busy');
  }

  #update(trace, problem, waiting) {
    if (trace?.spans.length) {
      if (this.#pending) this.#forget();
      this.#trace = trace;
      this.#roots = arrange(trace.spans);
      for (const { service } of trace.spans) if (!this.#colors.has(service)) this.#colors.set(service, this.#colors.size);
      this.#select(this.#picked);
      byId('trace-view').hidden = false;
    }
    const known = !this.#pending && this.#trace;
    const parts = known ? [this.#summary()] : [];
    if (problem) parts.push(`The trace could not be loaded. ${explain(problem).what}`);
    for (const name of trace?.unreachable ?? []) {
      const what = name.endsWith(' store') ? 'keeps' : 'did';
      parts.push(`${name} could not be asked: what it ${what} may be missing.`);
    }
    if (waiting) parts.push(known ? 'More may be on its way…' : kLooking);
    else if (known && !isComplete(known.spans)) parts.push('Some of its spans are missing.');
    else if (parts.length === 0) parts.push(kNothing[this.#settings().traces]);
    if (known || waiting) say('trace-status', parts.join(' '));
    else this.#clear(parts.join(' '));
  }

  #summary() {
    const { spans } = this.#trace;
    const [begin, end] = extent(spans);
    const failed = spans.filter(({ error }) => error).length;
    return `${plural(spans.length, 'span')} of ${plural(this.#colors.size, 'service')} in ${duration((end - begin) / 1000)}` +
      `${failed ? `, ${failed} failed` : ''}.`;
  }

  #rows() {
    return rowsOf(this.#roots, this.#limits);
  }

  #draw(focus) {
    if (!this.#trace) return;
    const rows = this.#rows();
    const width = Math.max(byId('trace-status').clientWidth, 240);
    const [begin, end] = extent(this.#trace.spans);
    drawWaterfall(byId('waterfall'), rows, { width, begin, end, colors: this.#colors, selected: this.#selected.id, focus });
    fill('trace-services', [...this.#colors].map(([service, color]) => html('li', { class: `key s${color % 4}` }, service)));
    fill('trace-table', rows.map((row) => tableRow(row, begin)));
  }

  #pick(id) {
    const rows = this.#rows();
    const at = rows.findIndex((row) => row.id === id);
    if (!rows[at].unfold) return this.#select(this.#picked = id);
    rows[at].unfold();
    this.#draw(this.#rows()[at].id);
  }

  // By default the innermost failure if there is one, as that is where to look.
  #select(id) {
    const all = this.#roots.flatMap(withAllBelow);
    this.#selected = all.find((span) => span.id === id) ??
      all.reduce((best, span) => (span.error && (!best.error || span.depth > best.depth) ? span : best));
    this.#draw();
    this.#describe(this.#selected);
  }

  // The log lines of a span and of all below it.
  #linesOf(span) {
    const ids = new Set(withAllBelow(span).map(({ id }) => id));
    return this.#trace.logs.filter((line) => ids.has(line.span_id)).sort((a, b) => (a.timestamp < b.timestamp ? -1 : Number(a.timestamp > b.timestamp)));
  }

  // A span without lines has those of the nearest above it: a call that failed is told by who called.
  #describe(span) {
    say('span-name', span.label);
    say('span-facts', `${span.kind} span of ${span.service}, after ${duration((span.start_us - extent(this.#trace.spans)[0]) / 1000)}, ` +
      `took ${duration(span.duration_us / 1000)}.`);
    say('span-failure', span.error ? `Failed. ${span.message}` : '');
    fill('span-attributes', Object.entries(span.attributes).sort().map(([key, value]) =>
      html('tr', {}, rowHead(key), cell(typeof value === 'object' ? JSON.stringify(value) : value))));
    let owner = span;
    while (owner.above && this.#linesOf(owner).length === 0) owner = owner.above;
    const lines = this.#linesOf(owner);
    const borrowed = lines.length > 0 && owner !== span;
    say('lines-title', borrowed ? `Log lines of ${owner.label} of ${owner.service}, around it` : 'Its log lines');
    fill('lines', lines.slice(0, kMaxLines).map(logLine));
    const none = this.#settings().logs === 'none' ? 'They are in the log of each service, under the trace id.' : 'None were found.';
    say('lines-note', lines.length > kMaxLines ? `And ${lines.length - kMaxLines} more.` : lines.length ? '' : none);
  }
}

function tableRow(row, begin) {
  if (row.rest) return html('tr', {}, cell(`${row.label}${row.failed ? `, ${row.failed} failed` : ''}`, { colspan: 5 }));
  return html('tr', row.error ? { class: 'failed' } : {},
    rowHead(`${'– '.repeat(row.depth)}${row.label}`), cell(row.service), cell(duration((row.start_us - begin) / 1000)),
    cell(duration(row.duration_us / 1000)), cell(row.error ? `failed ${row.message}` : 'good'));
}

// In local time, as the actions are.
function timeOf(timestamp) {
  const at = new Date(timestamp);
  return Number.isNaN(at.getTime()) ? '' : `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

// Of a stranger anything may be missing.
function logLine(line) {
  const rest = Object.entries(line).filter(([key]) => !kLineMembers.includes(key)).map(([key, value]) => `${key}=${value}`);
  return html('li', line.level === 'ERROR' ? { class: 'failed' } : {},
    html('span', {}, [timeOf(line.timestamp), line.level, line.service].filter(Boolean).join(' ')),
    html('b', {}, line.message ?? ''), html('span', {}, rest.join(' ')));
}
