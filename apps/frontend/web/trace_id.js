import { html } from './dom.js';

const kFeedbackMs = 2000;

// Where the clipboard is closed to the page (plain http from another host), the old command still works on a selection.
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand('copy');
  }
}

// A trace id to select, copy and, with `show`, look into, or a word on why there is none.
export function traceId(id, show) {
  if (!id) return html('span', { class: 'facts' }, 'No trace id: no answer came.');
  const code = html('code', { class: 'trace-id' }, id);
  const button = html('button', { type: 'button', class: 'small', 'aria-label': `Copy trace id ${id}` }, 'Copy');
  button.addEventListener('click', async () => {
    status.textContent = button.textContent = (await copy(code)) ? 'Copied' : 'Select it';
    setTimeout(() => {
      button.textContent = 'Copy';
      status.textContent = '';
    }, kFeedbackMs);
  });
  const status = html('span', { class: 'quiet', role: 'status' });
  const buttons = [button];
  if (show) {
    buttons.push(html('button', { type: 'button', class: 'small', 'aria-label': `Show trace ${id}` }, 'Show'));
    buttons[1].addEventListener('click', () => show(id));
  }
  return html('span', { class: 'trace' }, code, ...buttons, status);
}
