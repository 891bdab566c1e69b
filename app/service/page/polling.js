// Look again and again: every two seconds, more seldom while nobody answers, never unseen.

const EVERY_MS = 2_000;
const SELDOM_MS = 30_000;

/** Seconds to wait after so many looks in a row that failed. */
export const pauseMs = (failures) => Math.min(EVERY_MS * 2 ** failures, SELDOM_MS);

/**
 * Call `look` at once and then on and on.
 *
 * `look` returns whether somebody answered. While the tab is hidden nothing is asked; when it is
 * shown again, or the network is back, it looks at once.
 */
export class Polling {
  #look;
  #timer;
  #failures = 0;
  #looking = null;
  #stopped = true;

  constructor(look) {
    this.#look = look;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.soon()));
    window.addEventListener("online", () => this.soon());
  }

  /** When it looks again, in milliseconds of this machine's clock. */
  nextAt = 0;

  start() {
    this.#stopped = false;
    this.#failures = 0;
    return this.soon();
  }

  stop() {
    this.#stopped = true;
    this.#pause();
  }

  /** Look now; if a look is under way, once more after it. */
  async soon() {
    if (this.#stopped || document.hidden) return;
    this.#pause();
    if (this.#looking) await this.#looking;
    this.#looking ??= this.#once().finally(() => (this.#looking = null));
    await this.#looking;
  }

  async #once() {
    const answered = await this.#look();
    this.#failures = answered ? 0 : this.#failures + 1;
    if (this.#stopped || document.hidden) return;
    this.#pause();
    const pause = pauseMs(this.#failures);
    this.nextAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.soon(), pause);
  }

  #pause() {
    clearTimeout(this.#timer);
  }
}
