// The page: who looks, what is seen every two seconds, and where each part of it is shown.

import { Acting } from "./acting.js";
import { NotConnected, Refused, get, token, under } from "./api.js";
import { byId, el } from "./dom.js";
import { showInstances } from "./instances.js";
import { showLetters } from "./letters.js";
import { showNow } from "./now.js";
import { showPlans } from "./plans.js";
import { Polling } from "./polling.js";
import { clock, now, refresh } from "./times.js";
import { Versions } from "./versions.js";

const MAY_PROMOTE = ["promoter", "admin"];
const ANNOUNCEMENTS = 50;

const seen = {}; // the newest answer to each question
const failed = {}; // why there is no newer one
let lastAnswer = null;

const polling = new Polling(look);
const acting = new Acting(() => polling.soon());
const versions = new Versions(draw, () => polling.soon());

/** What each part of the page is made of. */
const PARTS = {
  now: { of: ["plans", "instances", "model"], show: () => showNow(seen, { back: may() ? () => acting.back() : null }) },
  instances: { of: ["instances"], show: () => showInstances(seen.instances) },
  versions: { of: ["versions", "model", "plans"], show: () => versions.show(seen, may() ? (version) => acting.promote(version) : null) },
  plans: { of: ["plans"], show: () => showPlans(seen.plans) },
  letters: { of: ["letters"], show: () => showLetters(seen.letters) },
};

const QUESTIONS = {
  plans: async () => (await get("plans", { newest: ANNOUNCEMENTS })).plans,
  instances: async () => (await get("instances")).instances,
  model: () => or({ aliases: {} }, get(under("models", seen.me.model))),
  versions: () => or({ versions: [], next_page_token: null }, versions.ask(seen.me.model)),
  letters: () => get("dead-letters", { minutes: 60 }),
  reconciler: () => get("reconciler"),
};

/** Wait for an answer; if there is no such thing (yet), it is `nothing`. */
async function or(nothing, asked) {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return nothing;
    throw error;
  }
}

const may = () => MAY_PROMOTE.includes(seen.me.role);

/** Ask everything; return whether anybody answered. */
async function look() {
  const began = performance.now();
  try {
    seen.me = await get("me");
  } catch (error) {
    return refusedOrAway(error);
  }
  enter();
  const asked = Object.entries(QUESTIONS);
  const answers = await Promise.allSettled(asked.map(([, ask]) => ask()));
  asked.forEach(([name], at) => {
    const { value, reason } = answers[at];
    if (reason === undefined) seen[name] = value;
    failed[name] = reason ?? null;
  });
  connected();
  draw(began);
  return true;
}

function refusedOrAway(error) {
  if (error instanceof Refused && error.status === 401) {
    const held = token.get() !== null;
    token.forget();
    askForToken(held ? error.message : "");
    return true;
  }
  away(error);
  return false;
}

function draw(began = 0) {
  for (const [id, { of, show }] of Object.entries(PARTS)) {
    const section = byId(id);
    const missing = of.filter((name) => failed[name]);
    stale(section, missing.map((name) => failed[name])[0]);
    if (of.every((name) => name in seen)) show();
  }
  const whole = PARTS.now.of.every((name) => name in seen);
  if (whole) acting.seen(seen, PARTS.now.of.some((name) => failed[name]) ? 0 : began);
}

/** Say in a part of the page that it is not up to date, and why. */
function stale(section, error) {
  const text = error ? `Not up to date: ${error instanceof NotConnected ? "the service does not answer" : `${error.message}. ${error.next ?? ""}`}` : "";
  let note = section.querySelector(":scope > .stale");
  if (!text) return note?.remove();
  if (!note) {
    note = el("p", { class: "stale", "data-tone": "bad", role: "status" });
    section.querySelector(".body").before(note);
  }
  if (note.textContent !== text) note.textContent = text;
}

// --- connected or not ---

function connected() {
  lastAnswer = now();
  byId("banner").hidden = true;
  byId("banner").replaceChildren();
  byId("connection").dataset.state = "good";
  byId("connection").textContent = "live";
}

function away(error) {
  const since = lastAnswer === null ? "" : ` since ${clock(lastAnswer)}`;
  const why = error instanceof Refused ? `: ${error.message}` : "";
  if (byId("banner").hidden) {
    const again = el("button", { type: "button", class: "quiet", onclick: () => polling.soon() }, "Try now");
    byId("banner").replaceChildren(el("span", {}, `Not connected${since}${why}. What you see may be old.`), again);
    byId("banner").hidden = false;
  }
  byId("connection").dataset.state = "bad";
  byId("connection").textContent = "not connected";
}

// --- who looks ---

function enter() {
  const { name, role, dev, model } = seen.me;
  byId("model").textContent = model;
  byId("who").textContent = dev ? "--dev: no token needed" : `${name} (${role})`;
  byId("who").hidden = false;
  byId("forget").hidden = dev;
  byId("token-form").hidden = true;
  byId("main").hidden = false;
}

function askForToken(why) {
  polling.stop();
  if (byId("dialog").open) byId("dialog").close();
  byId("main").hidden = true;
  byId("banner").hidden = true;
  byId("connection").textContent = "";
  byId("who").hidden = byId("forget").hidden = true;
  byId("token-form").hidden = false;
  byId("token-wrong").textContent = why && `That token is not taken: ${why}.`;
  byId("token").setAttribute("aria-invalid", String(Boolean(why)));
  byId("token").focus();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("token").value.trim();
  byId("token").value = "";
  if (!/^[!-~]+$/.test(text)) return askForToken("it has signs that none has");
  token.keep(text);
  polling.start();
});

byId("forget").addEventListener("click", () => {
  token.forget();
  location.reload(); // nothing of what was seen stays
});

setInterval(refresh, 1_000);
polling.start();
