// Two versions side by side: all metrics, and whichever parameters and columns differ.

import { el } from "./dom.js";
import { difference, figure } from "./facts.js";

/** Draw what is known of a version; `other` is the version in force, null if there is no other. */
export function comparison(row, other) {
  const { metrics, parameters, signature } = row.logged;
  const that = other === null ? "" : " that differ";
  return el(
    "div",
    { class: "compared" },
    table("Metrics", metrics, other?.metrics, row, other, true),
    table(`Parameters${that}`, parameters, other?.parameters, row, other, false),
    table(`Columns${that}`, signature, other?.signature, row, other, false),
  );
}

function table(title, values, than, row, other, numbers) {
  const names = [...new Set([...Object.keys(values), ...Object.keys(than ?? {})])].sort();
  const shown = names.filter((name) => numbers || !than || written(values[name]) !== written(than[name]));
  if (!shown.length) return el("p", { class: "soft small" }, `${title}: none.`);
  const kind = numbers ? "figure" : null;
  const column = (name) => el("th", { scope: "col", class: kind }, name);
  return el(
    "table",
    { class: "small" },
    el("caption", {}, title),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "name"),
        than && column(`${other.version}, in force`),
        column(row.version),
        than && numbers && column("difference"),
      ),
    ),
    el(
      "tbody",
      {},
      shown.map((name) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name),
          than && el("td", { class: kind }, written(than[name])),
          el("td", { class: kind }, written(values[name])),
          than && numbers && el("td", { class: kind }, change(values[name], than[name])),
        ),
      ),
    ),
  );
}

const written = (value) =>
  value != null && typeof value === "object" ? JSON.stringify(value) : figure(value);

function change(value, than) {
  const said = difference(value, than);
  if (!said) return "–";
  return [el("span", { "aria-hidden": "true" }, said.seen), el("span", { class: "unseen" }, said.heard)];
}
