// A card for each instance: what it does, serves, loads, and holds for, as it says itself.

import { badge, byId, el, show } from "./dom.js";
import { lasting, when } from "./times.js";

const TONES = { serving: "good", holding: "bad", starting: "wait" };

export function showInstances(instances) {
  // `heard` changes every few seconds and is in no time that is shown, unless it is silent
  const data = instances.map(({ heard, ...one }) => (one.live ? one : { ...one, heard }));
  show(byId("instances").querySelector(".body"), data, draw);
}

function draw(instances) {
  if (!instances.length) {
    return el("p", { class: "card soft" }, "No instance has been heard within the last hour.");
  }
  return el("ul", { class: "fleet" }, instances.map(card));
}

function card(one) {
  const word = one.live ? one.doing : "silent";
  const lag = Object.values(one.lag);
  const rest = one.loaded.filter((version) => version.offset !== one.in_force?.offset);
  return el(
    "li",
    { class: "card" },
    el("h3", {}, one.instance, badge(word, one.live ? TONES[one.doing] : "bad")),
    el("p", {}, one.in_force ? `serves version ${one.in_force.version}` : "serves no version"),
    one.staged && el(
      "p",
      { class: "small" },
      one.staged.why_not === null ? `has loaded version ${one.staged.version}, staged` : `loads version ${one.staged.version}: ${one.staged.why_not}`,
    ),
    !one.staged && rest.length > 0 && el(
      "p",
      { class: "soft small" },
      `keeps ${[...new Set(rest.map((version) => version.version))].join(", ")} loaded`,
    ),
    one.why && el("p", { class: "why small" }, one.why),
    el(
      "p",
      { class: "soft small" },
      lag.length ? `${partitions(Object.keys(one.lag))} · lag ${lag.reduce((sum, records) => sum + records, 0).toLocaleString("en")}` : "no partitions",
    ),
    el("p", { class: "soft small" }, one.live ? [`${one.doing} `, lasting(one.since)] : ["heard ", when(one.heard)]),
  );
}

const partitions = (numbers) =>
  numbers.length === 1 ? `partition ${numbers[0]}` : `partitions ${numbers.sort((a, b) => a - b).join(", ")}`;
