// The dialog that promotes or rolls back: what will happen, why, and then the fleet as it turns.

import { NotConnected, Refused, newKey, post, under } from "./api.js";
import { badge, byId, el, show } from "./dom.js";
import * as facts from "./facts.js";

export class Acting {
  #state = null; // what was seen last
  #asked = null; // the version that was asked for, and the offset before
  #key = null;
  #answered = 0; // when: what was looked at before does not tell of it
  #look;
  #back = null; // where the focus was

  /** `look` asks the service anew. */
  constructor(look) {
    this.#look = look;
    const dialog = byId("dialog");
    dialog.addEventListener("close", () => this.#closed());
  }

  /** Take what was seen by a look that began then; a fleet that turns is drawn anew. */
  seen(state, began) {
    this.#state = state;
    if (this.#asked && began >= this.#answered) this.#progress();
  }

  promote(version) {
    const { me, plans } = this.#state;
    const present = facts.inForce(plans)?.version;
    const from = present === undefined ? "" : ` Version ${present} serves until then.`;
    this.#open({
      title: `Promote version ${version}`,
      text: [
        `The alias ${me.alias} of ${me.model} is moved to version ${version}. ${this.#whatFollows()}${from}`,
      ],
      button: `Promote version ${version}`,
      path: `${under("models", me.model, "versions", version)}/promote`,
    });
  }

  back() {
    const { me, plans } = this.#state;
    const present = facts.inForce(plans).version;
    const version = facts.before(plans);
    this.#open({
      title: `Roll back to version ${version}`,
      text: [
        `The alias ${me.alias} of ${me.model} is moved back to version ${version}, which was in force before version ${present}. ${this.#whatFollows()}`,
        "Records that were answered already stay as they are.",
      ],
      button: "Roll back",
      path: `${under("models", me.model)}/rollback`,
      more: { instead_of: present }, // who else rolls back meanwhile must not send us forth again
    });
  }

  #whatFollows() {
    const live = facts.live(this.#state.instances).length;
    return live === 0
      ? "No instance is live, so it is in force at once, for whichever starts."
      : live === 1
        ? "The live instance loads it beside the present one; once it has, it is in force."
        : `The ${live} live instances load it beside the present one; once all have, it is in force for all from the same moment.`;
  }

  #open({ title, text, button, path, more = {} }) {
    const wrong = el("p", { class: "wrong", role: "alert" });
    const why = el("input", { id: "why", required: true, maxlength: "1000", autocomplete: "off", autofocus: true, "aria-describedby": "why-hint" });
    const go = el("button", { type: "submit" }, button);
    const form = el(
      "form",
      { onsubmit: (event) => { event.preventDefault(); this.#send(path, more, why, go, wrong); } },
      el("h2", { id: "dialog-title" }, title),
      text.map((line) => el("p", {}, line)),
      el("div", { class: "field" }, el("label", { for: "why" }, "Why"), why, el("p", { id: "why-hint", class: "soft small" }, "It is kept in the audit record.")),
      wrong,
      el("div", { class: "buttons" }, el("button", { type: "button", class: "quiet", onclick: () => byId("dialog").close() }, "Cancel"), go),
    );
    this.#asked = null;
    this.#back = document.activeElement?.dataset.key ?? null;
    byId("dialog").replaceChildren(form);
    byId("dialog").showModal();
    why.focus();
  }

  async #send(path, more, why, go, wrong) {
    if (!why.value.trim()) {
      why.setCustomValidity("Say why, in a few words.");
      why.reportValidity();
      why.addEventListener("input", () => why.setCustomValidity(""), { once: true });
      return;
    }
    go.disabled = true;
    wrong.textContent = "";
    const offset = Math.max(-1, ...this.#state.plans.map((row) => row.offset));
    try {
      const asked = { why: why.value.trim(), ...more };
      const { version } = await post(path, asked, this.#keyOf(path, asked));
      this.#key = null;
      this.#answered = performance.now();
      this.#asked = { version, offset };
      this.#turn(version);
      this.#look();
    } catch (error) {
      if (isFinal(error)) this.#key = null; // the same key gets the same refusal
      go.disabled = false;
      wrong.textContent = problem(error);
    }
  }

  /** The key of what is asked for; the same if it was not answered and is asked for again. */
  #keyOf(...asked) {
    const text = JSON.stringify(asked);
    if (this.#key?.text !== text) this.#key = { text, key: newKey() };
    return this.#key.key;
  }

  #turn(version) {
    const close = el("button", { type: "button", class: "quiet", onclick: () => byId("dialog").close() }, "Close; it goes on");
    byId("dialog").replaceChildren(
      el(
        "div",
        { class: "turning" },
        el("h2", { id: "dialog-title", tabindex: "-1" }, `Version ${version}`),
        el("p", { class: "sentence", role: "status", "data-tone": "wait", id: "turn" }, "It was asked for."),
        el("ul", { class: "steps", id: "steps" }),
        el("p", { class: "soft small", id: "turn-note" }),
        el("div", { class: "buttons" }, close),
      ),
    );
    this.close = close;
    close.focus();
  }

  #progress() {
    const { steps, phase, end, note } = facts.turning(this.#asked, this.#state);
    const sentence = byId("turn");
    const text = end?.text ?? phase;
    if (sentence.textContent !== text) sentence.textContent = text;
    sentence.dataset.tone = end?.tone ?? "wait";
    byId("turn-note").textContent = end ? "" : (note ?? "");
    show(byId("steps"), steps, (all) => all.map(drawStep));
    if (end) {
      this.close.textContent = "Close";
      this.#asked = null;
    }
  }

  #closed() {
    this.#asked = null;
    const key = this.#back;
    const opener = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
    (opener ?? byId("main")).focus();
  }
}

/** Whether the service has said no for good: not that it can't say, or is still at it. */
function isFinal(error) {
  return error instanceof Refused && error.status < 500 && error.status !== 429 && error.code !== "IdempotencyKeyInUse";
}

function drawStep({ instance, word, tone, why }) {
  return el("li", {}, el("span", {}, instance), badge(word, tone), why && el("p", { class: "why small" }, why));
}

function problem(error) {
  if (error instanceof Refused) return `${error.message}. ${error.next}`;
  if (error instanceof NotConnected) return "The service did not answer: it may have been done all the same. Try again with the same words: it is not done twice.";
  return String(error);
}
