// Elements. What comes from the service only ever becomes text: nothing here reads HTML.

/**
 * Make an element. A function as the value of `onclick` and the like listens; false and null leave
 * an attribute out; children are elements or texts.
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** A word on a colour: `good`, `wait`, `bad` or `calm`. The word says it, not the colour. */
export const badge = (word, tone = "calm") => el("span", { class: "badge", "data-tone": tone }, word);

const drawn = new WeakMap();

/**
 * Draw data in a container, if it is not what stands there already: what did not change keeps its
 * focus and its place. The focus goes on to the element with the same `data-key`.
 */
export function show(container, data, draw) {
  const now = JSON.stringify(data);
  if (drawn.get(container) === now) return;
  drawn.set(container, now);
  const key = container.contains(document.activeElement)
    ? document.activeElement.dataset.key
    : undefined;
  container.replaceChildren(...[draw(data)].flat());
  if (key === undefined) return;
  const next = [...container.querySelectorAll("[data-key]")].find((e) => e.dataset.key === key);
  (next ?? byId("main")).focus({ preventScroll: true });
}

/** Have it drawn the next time, whatever stands there. */
export const forget = (container) => drawn.delete(container);

/** Say something to whoever listens instead of looking. */
export function say(text) {
  const said = byId("said");
  if (said.textContent !== text) said.textContent = text;
}
