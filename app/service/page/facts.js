// What follows from what the service said. Pure: data in, words out.

/** The row of the announcements with a status, the newest first if there are several. */
const newest = (plans, status) => plans.findLast((row) => row.status === status) ?? null;

export const inForce = (plans) => newest(plans, "in force");
export const staged = (plans) => newest(plans, "staged");
export const coming = (plans) => plans.filter((row) => row.status === "coming");

/** The version that a rollback brings back; null if none of those announcements says. */
export function before(plans) {
  const present = inForce(plans);
  const overtaken = (row) => plans.some((one) => one.offset > row.offset && one.status !== "voided" && one.effective <= row.effective);
  const was = plans.filter((row) => row.status === "past" && row.offset < (present?.offset ?? 0) && !overtaken(row));
  return was.findLast((row) => row.version !== present.version)?.version ?? null;
}

/** The row that a void or the end of a staging is about; undefined if it is too old to be there. */
export const about = (plans, row) => plans.find((one) => one.offset === (row.voids ?? row.unstages));

/** Why nobody waits for a version any more that was staged; null if that is not so. */
export function givenUp(plans, version) {
  const last = plans.findLast((row) => (row.version ?? about(plans, row)?.version) === version);
  return last?.status === "unstaged" ? last : null;
}

export const live = (instances) => instances.filter((one) => one.live);

const serves = (one, plan) =>
  one.doing === "serving" && one.in_force?.version === plan.version && one.in_force.offset === plan.offset;

export const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

/** How it is, as one sentence and its tone. */
export function state(plans, instances) {
  const plan = inForce(plans);
  const alive = live(instances);
  if (alive.length === 0) return { tone: "bad", text: "No instance is live: nobody serves it." };
  const holding = alive.filter((one) => one.doing === "holding");
  if (holding.length) {
    return { tone: "bad", text: `${holding.length} of ${count(alive.length, "instance")} ${holding.length === 1 ? "holds" : "hold"}: records wait.` };
  }
  if (!plan) return { tone: "wait", text: "Instances wait for the first version." };
  const serving = alive.filter((one) => serves(one, plan)).length;
  if (serving === alive.length) {
    return { tone: "good", text: `${serving} of ${count(serving, "live instance")} ${serving === 1 ? "serves" : "serve"} it.` };
  }
  return { tone: "wait", text: `${serving} of ${count(alive.length, "live instance")} serve it so far.` };
}

/** How many live instances have loaded what is staged. */
export function loaded(instances, row) {
  const alive = live(instances);
  const ready = alive.filter((one) => one.staged?.offset === row.offset && one.staged.why_not === null);
  return `loaded by ${ready.length} of ${count(alive.length, "instance")}`;
}

/** What failed when the reconciler tried last; null if nothing did. */
export function failure({ failure, failed, looked }) {
  return failed !== null && (looked === null || Date.parse(failed) >= Date.parse(looked)) ? failure : null;
}

/**
 * How far the fleet is with a version that was asked for.
 *
 * `asked` has its `version` and the `offset` of the newest announcement before it was asked for.
 * `phase` says where it is; `end` is null while it goes on, else a tone and a sentence.
 */
export function turning(asked, { plans, instances, model, me, reconciler }) {
  const { version } = asked;
  const plan = inForce(plans);
  const steps = live(instances).map((one) => ({ instance: one.instance, ...step(one, version, plan) }));
  return { steps, phase: phase(), end: end(), note: note() };

  function phase() {
    if (plan?.version === version) {
      const done = steps.filter((one) => one.done).length;
      return `In force: ${done} of ${count(steps.length, "instance")} ${done === 1 ? "serves" : "serve"} it.`;
    }
    if (coming(plans).some((row) => row.version === version)) return "Announced: in force in a moment.";
    const ahead = staged(plans);
    if (ahead?.version === version) return `Staged: ${loaded(instances, ahead)}.`;
    return "The alias is moved. The version is verified before instances load it; that takes seconds.";
  }

  function end() {
    if (plan?.version === version && steps.every((one) => one.done)) {
      return { tone: "good", text: `Version ${version} is in force, and ${steps.length ? "every live instance serves it" : "no instance is live"}.` };
    }
    const wanted = model.aliases[me.alias];
    if (wanted !== undefined && wanted !== version) {
      return { tone: "bad", text: `The alias ${me.alias} was moved on to version ${wanted}.` };
    }
    const up = givenUp(plans, version);
    if (up?.offset > asked.offset) return { tone: "bad", text: `Version ${version} was given up: ${up.why}` };
    const voided = plans.findLast((row) => row.offset > asked.offset && row.version === version);
    if (voided?.status === "voided") {
      return { tone: "bad", text: `The announcement of version ${version} was voided: ${voided.voided_why}` };
    }
    return null;
  }

  function note() {
    if (!reconciler) return null;
    if (!reconciler.runs_here) return "No reconciler runs in this service: one must run beside it (python -m app reconcile).";
    const failed = failure(reconciler);
    return failed === null ? null : `The last try failed, and there will be another: ${failed}`;
  }
}

function step(one, version, plan) {
  if (one.in_force?.version === version && plan?.version === version) {
    return one.doing === "holding"
      ? { word: "holds", tone: "bad", why: one.why, done: false }
      : { word: `serves ${version}`, tone: "good", why: null, done: one.doing === "serving" };
  }
  if (one.staged?.version === version) {
    return one.staged.why_not === null
      ? { word: `has loaded ${version}`, tone: "calm", why: null, done: false }
      : { word: `loads ${version}`, tone: "wait", why: one.staged.why_not, done: false };
  }
  const serves = one.in_force ? `serves ${one.in_force.version}` : one.doing;
  return { word: serves, tone: "calm", why: one.why, done: false };
}

/** What a version has, by name; of a comparison whose right side is that version. */
export function logged({ metrics, parameters, signature }) {
  const right = (values) => Object.fromEntries(values.map((one) => [one.name, one.right]));
  return { metrics: right(metrics), parameters: right(parameters), signature: right(signature) };
}

/** A number as people read it: four digits that count. */
export function figure(value) {
  if (typeof value !== "number") return value == null ? "–" : String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(3).replace("-", "−");
  const digits = size >= 1000 ? 0 : size >= 1 ? 3 - Math.floor(Math.log10(size)) : 4;
  return value.toLocaleString("en", { maximumFractionDigits: digits }).replace("-", "−");
}

/** How a number differs from another, for eyes and for ears; null if it can't be said. */
export function difference(value, than) {
  if (typeof value !== "number" || typeof than !== "number") return null;
  const by = value - than;
  if (by === 0) return { seen: "= same", heard: "the same as in force" };
  return by > 0
    ? { seen: `▲ +${figure(by)}`, heard: `${figure(by)} higher than in force` }
    : { seen: `▼ −${figure(-by)}`, heard: `${figure(-by)} lower than in force` };
}
