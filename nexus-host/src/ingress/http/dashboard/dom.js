// Makes elements. Whatever comes from the hub becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: properties that begin with `on` listen, others are attributes; `null` and `false` are left out. */
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for drawings. */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text, unless it is there already: what does not change is not painted anew, nor read out. */
export function say(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets an attribute, unless it is so already. */
export function mark(element, name, value) {
  const wanted = String(value);
  if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
}

/**
 * Lets a parent hold one child for each item, in order. What is there stays there, with its focus: `make` is asked for
 * `{ node, update }` once for each key, and `update` each time.
 */
export function keyed(parent, items, keyOf, make) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (wanted.has(key)) continue;
    wanted.add(key);
    let one = known.get(key);
    if (!one) known.set(key, (one = make(item)));
    one.update?.(item);
    if (one.node === place) place = place.nextElementSibling;
    else parent.insertBefore(one.node, place);
  }
  for (const [key, one] of known) {
    if (wanted.has(key)) continue;
    leaving(one.node, () => one.node.remove());
    known.delete(key);
  }
}

/** Shows something, or does not. */
export function show(element, isShown) {
  if (isShown) element.hidden = false;
  else leaving(element, () => (element.hidden = true));
}

/** Takes something away. If the focus is there it goes to what is next, so that nobody has to begin from the top. */
function leaving(element, take) {
  const hasFocus = element.contains(document.activeElement);
  const next = element.nextElementSibling ?? element.previousElementSibling;
  const heading = element.closest("section")?.querySelector("h2");
  take();
  if (!hasFocus) return;
  // Once everything else is shown that is there instead.
  queueMicrotask(() => {
    const buttons = next ? [next, ...next.querySelectorAll("button")] : [];
    const button = buttons.find((one) => one.matches("button") && one.checkVisibility());
    (button ?? heading)?.focus({ preventScroll: true });
  });
}

/** A table with these headings; `{ table, body }`. */
export function table(caption, headings) {
  const cell = ([text, kind]) => h("th", { scope: "col", class: kind ?? null }, text);
  const body = h("tbody");
  const head = h("thead", {}, h("tr", {}, headings.map(cell)));
  const inner = h("table", {}, h("caption", { class: "unseen" }, caption), head, body);
  return { table: h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption }, inner), body };
}

/** What stands where nothing is. */
export function empty(text) {
  return h("p", { class: "empty" }, text);
}

/** Shows one of two: what there is, or that there is nothing. */
export function either(full, none, isFull) {
  full.hidden = !isFull;
  none.hidden = isFull;
}

/** A button. */
export function button(text, act, properties = {}) {
  return h("button", { type: "button", onclick: act, ...properties }, text);
}

/** Says something to those who cannot see it. */
export function announce(text) {
  say(document.getElementById("announcer"), text);
}

/** Asks somebody whether they mean it: whether they do. */
export function confirm(title, text, yes, fields = []) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          dialog.close("yes");
        },
      },
      h("h2", { id: "dialog-title" }, title),
      text ? h("p", {}, text) : null,
      fields,
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "submit", class: "primary" }, yes),
        button("Cancel", () => dialog.close("")),
      ),
    );
    dialog.append(form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
