// Load on the database alone: 50 queries a second for 30 seconds at die-service, one in ten of them for the list.
//
//   DIE_SERVICE_URL     die-service (http://die-service:8109)
//   QUERIES_PER_SECOND  50
//   DURATION_SECONDS    30
//   LIST_TO_GET_RATIO   0.1

import { check } from 'k6';
import http from 'k6/http';
import { traced } from './trace.js';

const dieService = __ENV.DIE_SERVICE_URL || 'http://die-service:8109';
const listRatio = Number(__ENV.LIST_TO_GET_RATIO || 0.1);

export const options = {
  scenarios: {
    queries: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.QUERIES_PER_SECOND || 50),
      timeUnit: '1s',
      duration: `${__ENV.DURATION_SECONDS || 30}s`,
      preAllocatedVUs: 50,  // A second's queries may wait without one being dropped.
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<100', 'p(99)<500'],
    dropped_iterations: ['count==0'],
  },
};

const get = (path, name) => http.get(`${dieService}${path}`, { headers: traced(), tags: { name } });

export function setup() {
  const list = get('/dice', 'GET /dice');
  if (list.status !== 200) throw new Error(`${list.url} answers ${list.status || list.error}: ${list.body}`);
  return { dice: list.json('dice') };
}

export default function ({ dice }) {
  if (Math.random() < listRatio) {
    const list = get('/dice', 'GET /dice');
    check(list, { 'the list has every die': () => list.status === 200 && list.json('dice').length === dice.length });
  } else {
    const identifier = dice[Math.floor(Math.random() * dice.length)];
    const die = get(`/dice/${identifier}`, 'GET /dice/{die}');
    check(die, { 'the die is the one asked for': () => die.status === 200 && die.json('identifier') === identifier });
  }
}
