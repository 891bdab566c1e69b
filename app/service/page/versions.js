// The versions of the model, a page at a time, each beside the one in force.

import { get, under } from "./api.js";
import { comparison } from "./comparing.js";
import { badge, byId, el, show } from "./dom.js";
import * as facts from "./facts.js";
import { when } from "./times.js";

const PER_PAGE = 10;
const COLUMNS = 4;

export class Versions {
  #tokens = [null]; // of the pages up to the one that is shown
  #next = null;
  #open = null; // the version that is compared
  #logged = new Map(); // what the training of each version logged, once that is known
  #asked = Promise.resolve();

  /** `changed` is called when there is something new to draw, `look` when there is to ask. */
  constructor(changed, look) {
    this.changed = changed;
    byId("older").addEventListener("click", () => this.#turn(() => this.#tokens.push(this.#next), look));
    byId("newer").addEventListener("click", () => this.#turn(() => this.#tokens.pop(), look));
  }

  /** Ask for the page that is shown. */
  async ask(model) {
    const path = under("models", model, "versions");
    return get(path, { limit: PER_PAGE, page_token: this.#tokens.at(-1) });
  }

  /** Draw it; `promote` opens the dialog, and is null if the role is too small. */
  show({ me, model, plans, versions }, promote) {
    this.#next = versions.next_page_token;
    const present = facts.inForce(plans)?.version;
    const staged = facts.staged(plans)?.version;
    const wanted = model.aliases[me.alias];
    const than = present === undefined ? undefined : this.#log(me.model, present);
    const rows = versions.versions.map((one) => ({
      ...one,
      logged: this.#log(me.model, one.version),
      inForce: one.version === present,
      staged: one.version === staged,
      aliases: Object.keys(model.aliases).filter((alias) => model.aliases[alias] === one.version),
      open: one.version === this.#open,
      promote: promote !== null && one.retired === null && !(one.version === present && one.version === wanted),
    }));
    const data = { rows, present, than };
    show(byId("versions").querySelector(".body"), data, (known) => this.#draw(known, promote));
    this.#pager();
  }

  #pager() {
    const page = this.#tokens.length;
    byId("newer").disabled = page === 1;
    byId("older").disabled = this.#next === null;
    byId("page-number").textContent = `page ${page}`;
    byId("older").parentElement.hidden = page === 1 && this.#next === null;
  }

  #turn(turn, look) {
    turn();
    this.#next = null;
    byId("older").disabled = true;
    look();
  }

  /** Return what is logged of a version, or undefined until it is known: one is asked at a time. */
  #log(model, version) {
    if (!this.#logged.has(version)) {
      this.#logged.set(version, undefined);
      this.#asked = this.#asked.then(() => this.#ask(model, version));
    }
    return this.#logged.get(version);
  }

  /** Compared with itself: unlike the version in full, that fetches none of its files. */
  async #ask(model, version) {
    try {
      const path = under("models", model, "compare");
      this.#logged.set(version, facts.logged(await get(path, { left: version, right: version })));
    } catch {
      this.#logged.delete(version); // it is tried again at the next look
      return;
    }
    this.changed();
  }

  #draw({ rows, present, than }, promote) {
    if (!rows.length) return el("p", { class: "soft" }, "No version is registered.");
    const all = rows.flatMap((row) => Object.keys(row.logged?.metrics ?? {}));
    const names = [...new Set(all)].sort().slice(0, COLUMNS);
    const other = (row) => (row.inForce || than === undefined ? null : { version: present, ...than });
    return el(
      "table",
      { class: "stacks" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "version"),
          names.map((name) => el("th", { scope: "col", class: "figure" }, name)),
          el("th", { scope: "col" }, "registered"),
          el("th", { scope: "col" }, el("span", { class: "unseen" }, "what can be done")),
        ),
      ),
      el("tbody", {}, rows.map((row) => this.#row(row, names, other(row), promote))),
    );
  }

  #row(row, names, other, promote) {
    const panel = `compared-${row.version}`;
    const of = `version ${row.version}`;
    return [
      el(
        "tr",
        {},
        el("th", { scope: "row" }, `Version ${row.version}`, marks(row)),
        names.map((name) => metric(name, row, other)),
        el(
          "td",
          { "data-label": "registered" },
          el(
            "div",
            {},
            when(row.created),
            row.created_by ? ` by ${row.created_by}` : "",
            el("div", { class: "soft small" }, row.retired ?? row.why ?? row.description),
          ),
        ),
        el(
          "td",
          {},
          el(
            "div",
            { class: "buttons" },
            row.logged && el(
              "button",
              {
                type: "button",
                class: "quiet",
                "data-key": `compare-${row.version}`,
                "aria-expanded": String(row.open),
                "aria-controls": panel,
                "aria-label": other ? `Compare ${of} with the one in force` : `Details of ${of}`,
                onclick: () => this.#toggle(row.version),
              },
              other ? "Compare" : "Details",
            ),
            row.promote && el(
              "button",
              {
                type: "button",
                "data-key": `promote-${row.version}`,
                "aria-label": `Promote ${of}`,
                onclick: () => promote(row.version),
              },
              "Promote",
            ),
          ),
        ),
      ),
      row.open && row.logged && el(
        "tr",
        { class: "more", id: panel },
        el("td", { colspan: 3 + names.length }, comparison(row, other)),
      ),
    ].filter(Boolean);
  }

  #toggle(version) {
    this.#open = this.#open === version ? null : version;
    this.changed();
  }
}

const marks = (row) =>
  el(
    "div",
    { class: "badges" },
    row.inForce && badge("in force", "good"),
    row.staged && badge("staged", "wait"),
    row.aliases.map((alias) => badge(alias)),
    row.retired !== null && badge("retired", "bad"),
    row.status !== "READY" && badge(row.status, "bad"),
  );

function metric(name, row, other) {
  const value = row.logged?.metrics[name];
  const change = other && facts.difference(value, other.metrics[name]);
  return el(
    "td",
    { "data-label": name, class: "figure" },
    el(
      "div",
      {},
      facts.figure(value),
      change && el(
        "span",
        { class: "change" },
        el("span", { "aria-hidden": "true" }, change.seen),
        el("span", { class: "unseen" }, change.heard),
      ),
    ),
  );
}
