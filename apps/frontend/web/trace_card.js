// The card that shows what one request did: a waterfall of its spans, the details of one, and its log lines.

import { byId, html } from './dom.js';
import { arrange, follow } from './trace.js';
import { drawWaterfall, listen, rowsOf } from './waterfall.js';
import { duration, explain, plural } from './words.js';

const kMaxLines = 100;
const kLineMembers = ['timestamp', 'level', 'message', 'service', 'trace_id', 'span_id', 'trace_flags'];

const kHow = {
  none: 'To see the spans of a request here, start the services with TRACE_BUFFER_BYTES, or frontend with TRACE_QUERY_URL.',
  services: 'No service remembers this trace: it was not sampled, or newer ones took its place.',
  store: 'The trace store knows nothing of this trace, at least not yet.',
};

export class TraceCard {
  #settings;
  #stop = new AbortController();
  #trace = null;
  #roots = [];
  #colors = new Map();
  #limits = new Map();
  #selected = '';

  // `settings()` gives what getSettings() gave, once it is known.
  constructor(settings) {
    this.#settings = settings;
    listen(byId('waterfall'), (id) => this.#pick(id));
    new ResizeObserver(() => this.#draw()).observe(byId('trace-status'));
  }

  // Shows a trace as soon as its spans are known, instead of the one before.
  async show(id) {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#clear();
    this.#link(id);
    if (!id) return this.#say('No answer came, so there is nothing to follow.');
    if (this.#settings()?.traces === 'none') return this.#say(kHow.none);
    this.#say('Looking for the spans of this request…');
    await follow(id, this.#stop.signal, (trace, problem, waiting) => this.#update(trace, problem, waiting));
  }

  #clear() {
    this.#trace = null;
    this.#roots = [];
    this.#colors.clear();
    this.#limits.clear();
    this.#selected = '';
    byId('trace-view').hidden = true;
  }

  #say(words, bad = false) {
    byId('trace-status').textContent = words;
    byId('trace-status').classList.toggle('bad', bad);
  }

  #link(id) {
    const links = Object.entries({ trace: 'Open the trace', logs: 'Open its log lines' })
      .filter(([name]) => id && this.#settings()?.links?.[name])
      .map(([name, words]) => html('a', { href: this.#settings().links[name].replaceAll('{trace_id}', id), rel: 'noreferrer' }, words));
    byId('trace-links').replaceChildren(...links);
  }

  #update(trace, problem, waiting) {
    if (trace?.spans.length) {
      this.#trace = trace;
      this.#roots = arrange(trace.spans);
      for (const { service } of trace.spans) if (!this.#colors.has(service)) this.#colors.set(service, this.#colors.size);
      if (!trace.spans.some(({ id }) => id === this.#selected)) this.#selected = this.#mostTelling();
      byId('trace-view').hidden = false;
      this.#draw();
      this.#detail();
    }
    const shown = this.#trace;
    const parts = shown ? [this.#summary()] : [];
    if (problem) parts.push(`The trace could not be loaded. ${explain(problem).what}`);
    for (const name of trace?.unreachable ?? []) parts.push(`${name} could not be asked: what it did may be missing.`);
    if (waiting) parts.push(shown ? 'More spans may be on their way…' : 'Looking for the spans of this request…');
    else if (!shown && !problem) parts.push(kHow[this.#settings()?.traces] ?? kHow.services);
    this.#say(parts.join(' '), !waiting && (!shown || problem));
  }

  #summary() {
    const { spans } = this.#trace;
    const ends = spans.map(({ start_us: start, duration_us: took }) => start + took);
    const took = Math.max(...ends) - Math.min(...spans.map(({ start_us: start }) => start));
    const failed = spans.filter(({ error }) => error).length;
    return `${plural(spans.length, 'span')} of ${plural(this.#colors.size, 'service')} in ${duration(took / 1000)}` +
      `${failed ? `, ${failed} failed` : ''}.`;
  }

  // The innermost failure if there is one, as that is where to look.
  #mostTelling() {
    let found = this.#roots[0];
    const visit = (node) => {
      if (node.error && (!found.error || node.depth > found.depth)) found = node;
      node.children.forEach(visit);
    };
    this.#roots.forEach(visit);
    return found.id;
  }

  #rows() {
    return rowsOf(this.#roots, this.#limits);
  }

  #draw(focus) {
    if (!this.#trace) return;
    const rows = this.#rows();
    const node = byId('waterfall');
    drawWaterfall(node, rows, { width: Math.max(node.parentElement.clientWidth, 260), colors: this.#colors, selected: this.#selected, focus });
    byId('trace-services').replaceChildren(...[...this.#colors].map(([service, color]) => html('li', { class: `key s${color % 4}` }, service)));
    byId('trace-table').replaceChildren(...rows.map((row) => tableRow(row, rows[0].start_us)));
  }

  #pick(id) {
    const rows = this.#rows();
    const at = rows.findIndex((row) => row.id === id);
    if (rows[at].rest) {
      rows[at].unfold();
      this.#draw(this.#rows()[at].id);
    } else {
      this.#selected = id;
      this.#draw();
      this.#detail();
    }
  }

  #detail() {
    const span = this.#find(this.#selected);
    const after = duration((span.start_us - this.#roots[0].start_us) / 1000);
    byId('span-name').textContent = span.label;
    byId('span-facts').textContent = `${span.kind} span of ${span.service}, after ${after}, took ${duration(span.duration_us / 1000)}.`;
    byId('span-failure').textContent = span.error ? `Failed. ${span.message}` : '';
    byId('span-attributes').replaceChildren(...Object.entries(span.attributes).sort().map(([key, value]) =>
      html('tr', {}, html('th', { scope: 'row' }, key), html('td', {}, typeof value === 'object' ? JSON.stringify(value) : String(value)))));
    this.#lines(span);
  }

  #find(id, nodes = this.#roots) {
    for (const node of nodes) {
      const found = node.id === id ? node : this.#find(id, node.children);
      if (found) return found;
    }
    return null;
  }

  // The lines of a span and of everything below it.
  #lines(span) {
    const ids = new Set();
    const visit = (node) => {
      ids.add(node.id);
      node.children.forEach(visit);
    };
    visit(span);
    const lines = this.#trace.logs.filter((line) => ids.has(line.span_id)).sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    byId('lines').replaceChildren(...lines.slice(0, kMaxLines).map(logLine));
    const more = lines.length - kMaxLines;
    byId('lines-note').textContent = more > 0 ? `And ${more} more.`
      : lines.length ? '' : this.#settings()?.traces === 'store' ? 'They are in your log store, under the trace id.' : 'This span wrote none.';
  }
}

function tableRow(row, begin) {
  if (row.rest) {
    return html('tr', {}, html('td', { colspan: 5 }, `${row.label}${row.failed ? `, ${row.failed} failed` : ''}`));
  }
  return html('tr', row.error ? { class: 'failed' } : {},
    html('th', { scope: 'row' }, `${'– '.repeat(row.depth)}${row.label}`), html('td', {}, row.service),
    html('td', {}, duration((row.start_us - begin) / 1000)), html('td', {}, duration(row.duration_us / 1000)),
    html('td', {}, row.error ? `failed ${row.message}` : 'good'));
}

function logLine(line) {
  const rest = Object.entries(line).filter(([key]) => !kLineMembers.includes(key)).map(([key, value]) => `${key}=${value}`);
  return html('li', { class: line.level === 'ERROR' ? 'failed' : '' },
    html('span', { class: 'line-head' }, `${line.timestamp.slice(11, 23)} ${line.level} ${line.service}`),
    html('b', {}, line.message), html('span', { class: 'line-rest' }, rest.join(' ')));
}
