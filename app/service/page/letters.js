// Why records became dead letters within the last hour.

import { badge, byId, el, show } from "./dom.js";
import { when } from "./times.js";

export function showLetters({ letters, complete, reasons }) {
  show(byId("letters").querySelector(".body"), { letters, complete, reasons }, draw);
}

function draw({ letters, complete, reasons }) {
  if (!letters) return el("p", { class: "soft" }, "None.");
  return [
    el("p", { class: "soft small" }, `${letters.toLocaleString("en")} in all`),
    el("ul", { class: "reasons" }, reasons.map((one) => drawReason(one, letters))),
    !complete && el("p", { class: "soft small" }, "There are more: counting them all takes too long."),
  ].filter(Boolean);
}

function drawReason(one, all) {
  const part = el("span");
  part.style.width = `${(100 * one.letters) / all}%`;
  return el(
    "li",
    {},
    el(
      "p",
      {},
      el("strong", {}, one.reason),
      el("span", { class: "soft small" }, "last ", when(one.last)),
      el("span", { class: "figure" }, one.letters.toLocaleString("en")),
    ),
    el("div", { class: "bar", "aria-hidden": "true" }, part),
    one.redriven ? badge(`${one.redriven.toLocaleString("en")} of them sent again`) : null,
  );
}
