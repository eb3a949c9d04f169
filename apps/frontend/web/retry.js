import { Problem } from './api.js';

const kFirstDelayMs = 1000;
const kMaxDelayMs = 10000;

// Runs `task` until it succeeds, waiting longer after each failure. `onFailure(problem, delayMs)` is told of
// every one. Only a Problem is worth another try: anything else is a fault of the page and is thrown.
export class Retrier {
  #task;
  #onFailure;
  #running = false;
  #wake = () => {};

  constructor(task, onFailure) {
    this.#task = task;
    this.#onFailure = onFailure;
  }

  // Starts, or cuts a wait short; joins an attempt that is under way.
  async run() {
    this.#wake();
    if (this.#running) return;
    this.#running = true;
    try {
      let delayMs = kFirstDelayMs;
      while (!(await this.#attempt(delayMs))) {
        await this.#pause(delayMs);
        delayMs = Math.min(delayMs * 2, kMaxDelayMs);
      }
    } finally {
      this.#running = false;
    }
  }

  async #attempt(delayMs) {
    try {
      await this.#task();
      return true;
    } catch (failure) {
      this.#onFailure(Problem.of(failure), delayMs);
      return false;
    }
  }

  #pause(delayMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
