import { byId, html } from './dom.js';
import { traceId } from './trace_id.js';
import { duration } from './words.js';

const kMaxRows = 50;

// Puts an action on top of the log; the oldest beyond the last fifty go. `show(trace)` looks into its trace.
export function logAction({ action, die, outcome, failed = false, durationMs, trace, show }) {
  const now = new Date();
  const row = html('tr', failed ? { class: 'failed' } : {},
    html('td', { class: 'time' }, html('time', { datetime: now.toISOString() }, now.toTimeString().slice(0, 8))),
    html('td', { class: 'action' }, action),
    html('td', { class: 'die-name' }, die),
    html('td', { class: 'what' }, outcome),
    html('td', { class: 'took' }, duration(durationMs)),
    html('td', { class: 'where' }, traceId(trace, show)));
  const log = byId('log');
  log.prepend(row);
  while (log.rows.length > kMaxRows) log.lastElementChild.remove();
  byId('log-empty').hidden = true;
}
