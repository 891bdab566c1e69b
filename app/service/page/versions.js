// The versions of the model, a page at a time, each beside the one in force.

import { Refused, get, under } from "./api.js";
import { comparison } from "./comparing.js";
import { badge, byId, el, show } from "./dom.js";
import * as facts from "./facts.js";
import { when } from "./times.js";

const PER_PAGE = 10;
const COLUMNS = 4;
const RETIRED = "ds_models.retired"; // the tag of a version that is never served again

export class Versions {
  #tokens = [null]; // of the pages up to the one that is shown
  #next = null;
  #open = null; // the version that is compared
  #compared = new Map();
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
    const plan = facts.inForce(plans);
    const staged = facts.staged(plans)?.version;
    const rows = versions.versions.map((one) => ({
      ...one,
      compared: this.#comparison(me.model, plan?.version ?? one.version, one.version),
      inForce: one.version === plan?.version,
      staged: one.version === staged,
      aliases: Object.entries(model?.aliases ?? {}).filter(([, version]) => version === one.version).map(([alias]) => alias),
      open: one.version === this.#open,
      retired: one.tags[RETIRED] ?? null,
      promote: promote !== null && !(RETIRED in one.tags) && !(one.version === plan?.version && model?.aliases[me.alias] === one.version),
    }));
    show(byId("versions").querySelector(".body"), { rows, than: plan?.version }, (data) => this.#draw(data, promote));
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

  /** Return how two versions compare, or undefined until that is known: one is asked at a time. */
  #comparison(model, left, right) {
    const key = JSON.stringify([left, right]);
    if (!this.#compared.has(key)) {
      this.#compared.set(key, undefined);
      this.#asked = this.#asked.then(() => this.#compare(key, model, left, right));
    }
    return this.#compared.get(key);
  }

  async #compare(key, model, left, right) {
    const path = under("models", model, "compare");
    try {
      this.#compared.set(key, await get(path, { left, right }));
    } catch (error) {
      const gone = error instanceof Refused && error.status === 404 && left !== right;
      if (gone) this.#compared.set(key, await get(path, { left: right, right }).catch(() => undefined));
      else this.#compared.delete(key); // it is tried again at the next look
      if (!gone) return;
    }
    this.changed();
  }

  #draw({ rows, than }, promote) {
    if (!rows.length) return el("p", { class: "soft" }, "No version is registered.");
    const all = rows.flatMap((row) => row.compared?.metrics.map((metric) => metric.name) ?? []);
    const names = [...new Set(all)].sort().slice(0, COLUMNS);
    const width = 3 + names.length;
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
      el("tbody", {}, rows.map((row) => this.#row(row, names, than, width, promote))),
    );
  }

  #row(row, names, than, width, promote) {
    const panel = `compared-${row.version}`;
    const differs = than !== undefined && !row.inForce;
    return [
      el(
        "tr",
        {},
        el("th", { scope: "row" }, `Version ${row.version}`, marks(row)),
        names.map((name) => metric(name, row, differs)),
        el(
          "td",
          { "data-label": "registered" },
          el("div", {}, when(row.created), row.created_by ? ` by ${row.created_by}` : "", el("div", { class: "soft small" }, row.retired ?? row.why ?? row.description)),
        ),
        el(
          "td",
          {},
          el(
            "div",
            { class: "buttons" },
            row.compared && el(
              "button",
              {
                type: "button",
                class: "quiet",
                "data-key": `compare-${row.version}`,
                "aria-expanded": String(row.open),
                "aria-controls": panel,
                "aria-label": differs ? `Compare version ${row.version} with the one in force` : `Details of version ${row.version}`,
                onclick: () => this.#toggle(row.version),
              },
              differs ? "Compare" : "Details",
            ),
            row.promote && el(
              "button",
              { type: "button", "data-key": `promote-${row.version}`, "aria-label": `Promote version ${row.version}`, onclick: () => promote(row.version) },
              "Promote",
            ),
          ),
        ),
      ),
      row.open && row.compared && el("tr", { class: "more", id: panel }, el("td", { colspan: width }, comparison(row, differs ? than : null))),
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

function metric(name, row, differs) {
  const found = row.compared?.metrics.find((one) => one.name === name);
  const change = differs && found ? facts.difference(found.right, found.left) : null;
  return el(
    "td",
    { "data-label": name, class: "figure" },
    el(
      "div",
      {},
      facts.figure(found?.right),
      change && el("span", { class: "change" }, el("span", { "aria-hidden": "true" }, change.seen), el("span", { class: "unseen" }, change.heard)),
    ),
  );
}
