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

/** `12 s ago`, `in 3 min`. */
export function ago(instant, at = now()) {
  const seconds = Math.round((at - Date.parse(instant)) / 1000);
  const long = Math.abs(seconds);
  const [count, unit] =
    long < 100 ? [long, "s"]
    : long < 6_000 ? [Math.round(long / 60), "min"]
    : long < 172_800 ? [Math.round(long / 3_600), "h"]
    : [Math.round(long / 86_400), "days"];
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

/** An element that says how long ago something was, and stays right. */
export function when(instant) {
  if (Number.isNaN(Date.parse(instant))) return el("span", {}, String(instant));
  return el("time", { datetime: instant, title: exact(instant) }, ago(instant));
}

/** Bring all of them up to date. */
export function refresh() {
  for (const time of document.querySelectorAll("time")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}
