import { byId, cell, html } from './dom.js';
import { traceId } from './trace_id.js';
import { duration } from './words.js';

const kMaxRows = 50;

// Puts an action on top of the log; the oldest beyond the last fifty go. `show(id)` looks into its trace.
export function logAction({ action, die, outcome, failed = false, durationMs, traceId: id }, show) {
  const now = new Date();
  const row = html('tr', failed ? { class: 'failed' } : {},
    cell(now.toTimeString().slice(0, 8), { class: 'time' }),
    cell(action, { class: 'action' }),
    cell(die, { class: 'die-name' }),
    cell(outcome, { class: 'what' }),
    cell(duration(durationMs), { class: 'took' }),
    cell(traceId(id, show), { class: 'where' }));
  const log = byId('log');
  log.prepend(row);
  while (log.rows.length > kMaxRows) log.lastElementChild.remove();
  byId('log-empty').hidden = true;
}
