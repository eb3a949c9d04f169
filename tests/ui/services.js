// Dice services of a test's own, so that it can stop one and start it again.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const kRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const kPatienceMs = 15000;

// Whether `condition` comes true before patience ends.
export async function eventually(condition) {
  const end = Date.now() + kPatienceMs;
  while (!(await condition())) {
    if (Date.now() > end) return false;
    await pause(20);
  }
  return true;
}

async function freePort() {
  const server = createServer();
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address();
  await new Promise((done) => { server.close(done); });
  return port;
}

class Service {
  constructor(name, port, environment) {
    Object.assign(this, { name, port, environment, url: `http://127.0.0.1:${port}` });
  }

  async start() {
    this.process = spawn(`${kRoot}/build/apps/${this.name}/${this.name}`, {
      env: { PORT: this.port, DRAIN_DELAY: '0', OTEL_TRACES_EXPORTER: 'none', TRACE_BUFFER_BYTES: '4000000', ...this.environment },
      stdio: 'ignore',
    });
    this.ended = new Promise((done) => { this.process.once('exit', done); });
    const ready = await eventually(() => fetch(`${this.url}/readyz`).then(({ ok }) => ok, () => false));
    if (!ready) throw new Error(`${this.name} is not ready`);
  }

  async stop() {
    this.process?.kill('SIGTERM');
    await this.ended;
  }
}

// die-service on the shipped dice, dice-roller and frontend, stopped when the test `t` is over. `environment` is frontend's.
export async function startDice(t, environment = {}) {
  const ports = [await freePort(), await freePort(), await freePort()];
  const dieService = new Service('die-service', ports[0], { DIE_SPECIFICATIONS_FILE: `${kRoot}/apps/die-service/die_specifications.json` });
  const diceRoller = new Service('dice-roller', ports[1], { DIE_SERVICE_URL: dieService.url });
  const frontend = new Service('frontend', ports[2], { DIE_SERVICE_URL: dieService.url, DICE_ROLLER_URL: diceRoller.url, ...environment });
  t.after(() => Promise.all([frontend, diceRoller, dieService].map((service) => service.stop())));
  for (const service of [dieService, diceRoller, frontend]) await service.start();
  return { dieService, diceRoller, frontend };
}
