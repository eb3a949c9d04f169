const kSvg = 'http://www.w3.org/2000/svg';

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);
// What is said already is not said again: a screen reader would repeat it.
export function say(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

export const fill = (id, nodes) => byId(id).replaceChildren(...nodes);

export function html(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(kSvg, tag), attributes, children);
}

export const cell = (content, attributes = {}) => html('td', attributes, content);
export const rowHead = (content) => html('th', { scope: 'row' }, content);
