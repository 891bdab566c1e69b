// Two versions side by side: all metrics, and whichever parameters and columns differ.

import { el } from "./dom.js";
import { difference, figure } from "./facts.js";

/** Draw what is known of a version; `than` is the version in force, null if there is no other. */
export function comparison(row, than) {
  const { metrics, parameters, signature } = row.compared;
  const other = than !== null;
  return el(
    "div",
    { class: "compared" },
    table("Metrics", metrics, row.version, other ? than : null, true),
    table(
      other ? "Parameters that differ" : "Parameters",
      parameters.filter((one) => !other || one.differs),
      row.version,
      other ? than : null,
    ),
    table(
      other ? "Columns that differ" : "Columns",
      signature.filter((one) => !other || one.differs),
      row.version,
      other ? than : null,
    ),
  );
}

function table(title, rows, version, than, numbers = false) {
  if (!rows.length) return el("p", { class: "soft small" }, `${title}: none.`);
  const kind = numbers ? "figure" : null;
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
        than !== null && el("th", { scope: "col", class: kind }, `${than}, in force`),
        el("th", { scope: "col", class: kind }, version),
        than !== null && numbers && el("th", { scope: "col", class: kind }, "difference"),
      ),
    ),
    el(
      "tbody",
      {},
      rows.map((one) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, one.name),
          than !== null && el("td", { class: kind }, written(one.left)),
          el("td", { class: kind }, written(one.right)),
          than !== null && numbers && el("td", { class: kind }, change(one)),
        ),
      ),
    ),
  );
}

const written = (value) =>
  value !== null && typeof value === "object" ? JSON.stringify(value) : figure(value);

function change({ left, right }) {
  const said = difference(right, left);
  return said ? [el("span", { "aria-hidden": "true" }, said.seen), el("span", { class: "unseen" }, said.heard)] : "–";
}
