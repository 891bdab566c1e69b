// Times as people read them, by the clock of the service: the one of this machine may be wrong.

import { el } from "./dom.js";

const WRONG_MS = 2_000; // the service says its time in whole seconds
let aheadMs = 0;

/** Learn how the clocks differ, of the `Date` of an answer. */
export function learn(date) {
  const difference = Date.parse(date) - Date.now();
  if (!Number.isNaN(difference)) aheadMs = Math.abs(difference) > WRONG_MS ? difference : 0;
}

export const now = () => Date.now() + aheadMs;

/** `2026-11-25 18:03:01Z` */
export const exact = (instant) => `${new Date(instant).toISOString().slice(0, 19).replace("T", " ")}Z`;

/** `18:03:01Z` */
export const clock = (ms) => `${new Date(ms).toISOString().slice(11, 19)}Z`;

function long(seconds) {
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** `12 s ago`, `in 3 min`; `for 12 s` of something that lasts. */
export function ago(instant, lasts = false, at = now()) {
  const seconds = Math.round((at - Date.parse(instant)) / 1000);
  if (lasts) return `for ${long(Math.max(seconds, 0))}`;
  return seconds < 0 ? `in ${long(-seconds)}` : `${long(seconds)} ago`;
}

/** An element that says how long ago something was, and stays right. */
export const when = (instant) => time(instant, false);

/** The same of something that lasts since then. */
export const lasting = (instant) => time(instant, true);

function time(instant, lasts) {
  if (Number.isNaN(Date.parse(instant))) return el("span", {}, String(instant));
  const title = `${lasts ? "since " : ""}${exact(instant)}`;
  return el("time", { datetime: instant, title, "data-lasts": lasts }, ago(instant, lasts));
}

/** Bring all of them up to date. */
export function refresh() {
  for (const one of document.querySelectorAll("time")) {
    const text = ago(one.dateTime, "lasts" in one.dataset);
    if (one.textContent !== text) one.textContent = text;
  }
}
