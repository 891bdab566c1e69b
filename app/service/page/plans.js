// The last announcements, the newest first.

import { badge, byId, el, show } from "./dom.js";
import { when } from "./times.js";

const SHOWN = 12;
const TONES = { "in force": "good", coming: "wait", staged: "wait", voided: "bad", void: "bad", ignored: "bad" };

export function showPlans(plans) {
  show(byId("plans").querySelector(".body"), plans.slice(-SHOWN).reverse(), draw);
}

function draw(rows) {
  if (!rows.length) return el("p", { class: "soft" }, "Nothing has been announced.");
  const heads = ["offset", "status", "version", "announced", "why"];
  return el(
    "table",
    { class: "stacks" },
    el("thead", {}, el("tr", {}, heads.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map(drawRow)),
  );
}

function drawRow(row) {
  return el(
    "tr",
    {},
    el("td", { "data-label": "offset" }, String(row.offset)),
    el("td", { "data-label": "status" }, el("span", {}, badge(row.status, TONES[row.status]))),
    el("td", { "data-label": "version" }, row.version ?? about(row)),
    el("td", { "data-label": "announced" }, row.announced ? when(row.announced) : "–"),
    el("td", { "data-label": "why" }, why(row)),
  );
}

const about = (row) => {
  const offset = row.voids ?? row.unstages;
  return offset === undefined ? "–" : `that of offset ${offset}`;
};

const why = (row) =>
  row.voided_why === undefined ? (row.why ?? "–") : `${row.why ?? ""} (voided: ${row.voided_why})`.trim();
