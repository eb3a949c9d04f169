// Proof that an update loses nothing: a steady stream of rolls, and one failed request fails it. Half of them come over
// kept connections, as from a proxy, and half over new ones, which is where a stopping pod is missed first.
//
//   FRONTEND_URL         the frontend (http://frontend:8111)
//   REQUESTS_PER_SECOND  20
//   DURATION_SECONDS     30

import { check } from 'k6';
import http from 'k6/http';
import { traced } from './trace.js';

const frontend = __ENV.FRONTEND_URL || 'http://frontend:8111';

export const options = {
  scenarios: {
    steady: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.REQUESTS_PER_SECOND || 20),
      timeUnit: '1s',
      duration: `${__ENV.DURATION_SECONDS || 30}s`,
      preAllocatedVUs: 100,  // Five seconds' rolls may wait without one being dropped.
    },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    dropped_iterations: ['count==0'],
  },
};

export default function () {
  const headers = traced();
  if (__VU % 2) headers.Connection = 'close';
  const answer = http.get(`${frontend}/roll?die=fair`, { headers, tags: { name: 'GET /roll' } });
  const good = check(answer, { 'a roll gives a number': () =>
    answer.status === 200 && Number.isInteger(answer.json('result')) });
  if (!good) console.error(`${headers.traceparent} ${answer.status} ${answer.error} ${answer.body}`);
}
