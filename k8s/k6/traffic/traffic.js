// People at the page: each of 10 users rolls random dice up to 20 times, with a pause to look at the result.
//
//   FRONTEND_URL        the frontend (http://frontend:8111)
//   NUM_USERS           users at once (10)
//   MAX_ROLLS_PER_USER  most rolls in one visit (20)
//   DURATION            visit again and again for so long, as in 1h; each user comes once unless set

import { check, sleep } from 'k6';
import http from 'k6/http';
import { traced } from './trace.js';

const frontend = __ENV.FRONTEND_URL || 'http://frontend:8111';
const users = Number(__ENV.NUM_USERS || 10);
const maxRolls = Number(__ENV.MAX_ROLLS_PER_USER || 20);
const duration = __ENV.DURATION;

export const options = {
  scenarios: {
    users: duration
      ? { executor: 'constant-vus', vus: users, duration }
      : { executor: 'per-vu-iterations', vus: users, iterations: 1, maxDuration: '5m' },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<500'],
  },
};

// Some dice fail on purpose: that answer is as good as a number, and any other 5xx is not.
http.setResponseCallback(http.expectedStatuses(200, 500));
const failedOnPurpose = (answer) => answer.status === 500 && answer.json('type') === 'urn:problem-type:roll-failed';

const between = (least, most) => least + Math.floor(Math.random() * (most - least + 1));
const oneOf = (list) => list[between(0, list.length - 1)];
const get = (path, name) => http.get(`${frontend}${path}`, { headers: traced(), tags: { name } });

function rollOnce(die) {
  const answer = get(`/roll?die=${die}`, 'GET /roll');
  check(answer, { 'a roll gives a number, or fails on purpose': () =>
    (answer.status === 200 && Number.isInteger(answer.json('result'))) || failedOnPurpose(answer) });
}

function rollMany(die, times) {
  const answer = get(`/roll-async?die=${die}&times=${times}`, 'GET /roll-async');
  check(answer, { 'many rolls give as many results': () =>
    answer.status === 200 && answer.json('results').length === times });
}

// One visit: the page asks for the dice, then the user rolls.
export default function () {
  const list = get('/dice', 'GET /dice');
  if (!check(list, { 'there are dice': () => list.status === 200 && list.json('dice').length > 0 })) {
    sleep(1);
    return;
  }
  const dice = list.json('dice');
  for (let left = between(1, maxRolls); left > 0; --left) {
    if (Math.random() < 0.8) rollOnce(oneOf(dice));
    else rollMany(oneOf(dice), between(2, 20));
    sleep(0.1 + 1.9 * Math.random());
  }
}
