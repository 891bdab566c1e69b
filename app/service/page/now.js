// The first card: what is in force, what comes next, what is wanted, and whether all is well.

import { badge, byId, el, say, show } from "./dom.js";
import * as facts from "./facts.js";
import { exact, lasting, when } from "./times.js";

/** Draw it; `acts.back` opens the dialog of a rollback, and is null if the role is too small. */
export function showNow({ me, plans, instances, model, reconciler }, acts) {
  const plan = facts.inForce(plans);
  const state = facts.state(plans, instances);
  const staged = facts.staged(plans);
  const asked = model.aliases[me.alias];
  const up = asked === plan?.version ? null : facts.givenUp(plans, asked);
  const data = {
    plan,
    state,
    back: acts.back && plan ? facts.before(plans) : null,
    facts: [
      ...facts.coming(plans).map((row) => ({ name: "Coming", row, text: `version ${row.version}`, at: row.effective })),
      staged && { name: "Staged", row: staged, text: `version ${staged.version}, ${facts.loaded(instances, staged)}`, at: staged.announced },
      { name: `Alias ${me.alias}`, ...wanted(me, model, plan) },
      up && { name: "Given up", row: up, text: `version ${asked}`, at: up.announced },
      reconciler && { name: "Reconciler", ...waits(reconciler) },
      plan?.digest && { name: "Digest", digest: plan.digest },
    ].filter(Boolean),
  };
  show(byId("now").querySelector(".body"), data, (known) => draw(known, acts));
  document.title = `${plan ? `version ${plan.version}` : "no version"} – ${me.model}`;
  say(plan ? `Version ${plan.version} is in force. ${state.text}` : `No version is in force. ${state.text}`);
}

function wanted(me, model, plan) {
  const version = model.aliases[me.alias];
  if (version === undefined) return { text: "names no version" };
  return version === plan?.version
    ? { text: `wants version ${version}, as in force` }
    : { text: `wants version ${version}`, tone: "wait", word: "not in force" };
}

function waits(reconciler) {
  const failure = facts.failure(reconciler);
  if (!reconciler.runs_here) return { text: "none runs in this service" };
  return failure ? { text: failure, tone: "bad", word: "it tries again" } : { text: reconciler.why };
}

function draw({ plan, state, back, facts: rows }, acts) {
  return [
    el(
      "div",
      { class: "lead" },
      el("p", { class: "number" }, plan ? `Version ${plan.version}` : "No version yet"),
      plan && el("p", { class: "soft" }, lasting(plan.effective), `, since ${exact(plan.effective)}, by the announcement at offset ${plan.offset}`),
      el("p", { class: "sentence", "data-tone": state.tone }, state.text),
      plan?.why && el("p", { class: "why" }, plan.why),
      back && el(
        "p",
        { class: "acts" },
        el("button", { type: "button", class: "quiet", "data-key": "back", onclick: acts.back }, `Roll back to version ${back}`),
      ),
    ),
    el("dl", { class: "facts" }, rows.map(fact)),
  ];
}

const SHOWN = 23; // signs of a digest

function fact({ name, text, at, tone, word, digest, row }) {
  return [
    el("dt", {}, name),
    el(
      "dd",
      {},
      digest ? el("code", { title: digest }, `${digest.slice(0, SHOWN)}…`) : text,
      at && [" · ", when(at)],
      word && [" ", badge(word, tone)],
      row?.why && el("div", { class: "soft small" }, row.why),
    ),
  ];
}
