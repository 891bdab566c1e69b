// Ask the service. The token is kept for this tab alone, and is never part of an address.

import { learn } from "./times.js";

const KEPT = "ds-models.token";
const PATIENCE_MS = 10_000;

export const token = {
  get: () => sessionStorage.getItem(KEPT),
  keep: (text) => sessionStorage.setItem(KEPT, text),
  forget: () => sessionStorage.removeItem(KEPT),
};

/** The service said no, and why. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the service answered with ${status}`);
    this.status = status;
    this.next = problem.next ?? "";
    this.code = problem.error ?? "";
  }
}

/** There was no answer. */
export class NotConnected extends Error {}

export const get = (path, query) => ask("GET", path, query);

/** Have something done once, however often it is asked for with the same key. */
export const post = (path, query, key) => ask("POST", path, query, { "Idempotency-Key": key });

/** A key that nobody else has. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** A path under the API, of parts that may hold any character. */
export const under = (...parts) => parts.map(encodeURIComponent).join("/");

async function ask(method, path, query = {}, headers = {}) {
  const known = Object.entries(query).filter(([, value]) => value != null);
  const asked = known.length ? `?${new URLSearchParams(known)}` : "";
  const held = token.get();
  let answer, body;
  try {
    answer = await fetch(`api/v1/${path}${asked}`, {
      method,
      headers: held === null ? headers : { ...headers, Authorization: `Bearer ${held}` },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    body = await answer.json();
  } catch (error) {
    if (answer === undefined || error.name === "TimeoutError") throw new NotConnected(error.message);
    body = {}; // an answer of something between us and the service
  }
  learn(answer.headers.get("Date"));
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}
