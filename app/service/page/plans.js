// The last announcements, the newest first.

import { badge, byId, el, show } from "./dom.js";
import * as facts from "./facts.js";
import { when } from "./times.js";

const SHOWN = 12;
const TONES = { "in force": "good", coming: "wait", staged: "wait", voided: "bad", void: "bad", ignored: "bad" };

export function showPlans(plans) {
  const rows = plans.map((row) => ({ ...row, of: row.version ?? facts.about(plans, row)?.version }));
  show(byId("plans").querySelector(".body"), rows.slice(-SHOWN).reverse(), draw);
}

function draw(rows) {
  if (!rows.length) return el("p", { class: "soft" }, "Nothing has been announced.");
  return el("ol", { class: "history" }, rows.map(drawRow));
}

function drawRow(row) {
  return el(
    "li",
    {},
    el(
      "p",
      { class: "head" },
      el("span", { class: "soft offset" }, el("span", { class: "unseen" }, "offset "), String(row.offset)),
      badge(row.status, TONES[row.status]),
      el("strong", {}, about(row)),
      el("span", { class: "soft small at" }, row.announced ? when(row.announced) : ""),
    ),
    row.why && el("p", { class: "soft small" }, row.why),
    row.voided_why && el("p", { class: "soft small" }, `voided: ${row.voided_why}`),
  );
}

function about({ of, voids, unstages }) {
  const offset = voids ?? unstages;
  return `${of ? `version ${of}` : ""}${offset === undefined ? "" : ` of offset ${offset}`}`.trim();
}
