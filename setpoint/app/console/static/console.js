// Makes the server's pages live: one stream of changes, parts fetched again, forms sent without leaving the page,
// drafts kept, a cursor over plots, keys. Every page works without it; nothing here holds state that the server has not.

const $ = (what, inside = document) => inside.querySelector(what);
const all = (what, inside = document) => [...inside.querySelectorAll(what)];
const meta = (name) => $(`meta[name="${name}"]`);
const FIELDS = "input:not([type=hidden]), textarea, select";
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];
const SILENT_MS = 45000; // the stream has a heartbeat; one that is silent so long is dead, whatever the browser thinks
const ANSWER_MS = 20000;
const DRAFT_DAYS = 7;

function say(words) {
  const told = $("#told");
  if (told && words) told.textContent = words;
}

function make(tag, words = "", about = {}) {
  const made = Object.assign(document.createElement(tag), about);
  made.textContent = words;
  return made;
}

// ---- the stream ------------------------------------------------------------------------------------------------

let source, again, lost = false, tries = 0, heardAt = 0, place = meta("place")?.content ?? "-1";

function show(state, words) {
  const link = $("#link");
  if (!link || $("#link-words").textContent === words) return;
  link.dataset.state = state;
  $("#link-words").textContent = words;
}

function listen() {
  clearTimeout(again);
  source?.close();
  if (document.hidden) return; // browsers allow six connections to a server: only what is looked at holds one
  source = new EventSource(`/v1/stream?after=${place}`); // it goes on from there: nothing in between is missed
  heardAt = Date.now();
  source.addEventListener("open", () => {
    tries = 0;
    show("live", "live");
    if (lost) all("[data-live]").forEach(soon); // what is no row of the ledger may have changed too
    lost = false;
  });
  for (const kind of ["hello", "beat", "change"]) source.addEventListener(kind, (event) => {
    heardAt = Date.now();
    place = event.lastEventId || place;
    if (kind === "change") heard(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    lost = true;
    if (source.readyState === EventSource.CLOSED) retry();
    else show("lost", "reconnecting, nothing is lost");
  });
}

function heard({ kinds = [], subjects = [] }) {
  const names = new Set([...kinds, ...subjects]);
  for (const part of all("[data-live]"))
    if (names.has("*") || part.dataset.live.split(/\s+/).some((name) => names.has(name))) soon(part);
}

async function retry() {
  const state = await reach();
  if (state === "signed out") return show("lost", "signed out: sign in again in another tab, then come back");
  show("lost", "reconnecting, nothing is lost");
  again = setTimeout(listen, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
}

async function reach() {
  try {
    const answer = await fetch("/frame/band", { signal: AbortSignal.timeout(5000) });
    return signedOut(answer) ? "signed out" : answer.ok ? "there" : "away";
  } catch { return "away"; }
}

const signedOut = (answer) => answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/signin");

// ---- parts of a page that are fetched again ------------------------------------------------------------------------

const timers = new WeakMap(), fetchedAt = new WeakMap(), shown = new WeakMap();

function soon(part) {
  if (timers.has(part) || !part.dataset.src) return;
  const wait = Math.max(120, 600 - (Date.now() - (fetchedAt.get(part) ?? 0))); // a storm of changes is a few fetches
  timers.set(part, setTimeout(() => { timers.delete(part); refresh(part); }, wait));
}

async function refresh(part, wanted = false) {
  if (!part.isConnected) return;
  fetchedAt.set(part, Date.now());
  let html;
  try {
    const answer = await fetch(part.dataset.src, { headers: { "X-Fragment": "1" }, signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok || signedOut(answer)) return;
    html = inner(await answer.text(), part.id);
  } catch { return; } // the stream says that the connection is gone
  if (html === shown.get(part)) return;
  if (!wanted && isTyping(part)) return offer(part);
  swap(part, html);
}

// The answer may be the part alone or a whole page that holds it.
function inner(html, id) {
  if (!id || !html.includes(`id="${id}"`)) return html;
  const found = new DOMParser().parseFromString(html, "text/html").getElementById(id);
  return found ? found.innerHTML : html;
}

const isEdited = (field) =>
  field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
    : field.tagName === "SELECT" ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
      : field.value !== field.defaultValue;

function isTyping(part) {
  const at = document.activeElement;
  return (part.contains(at) && at.matches(FIELDS)) || all(FIELDS, part).some(isEdited);
}

function offer(part) {
  if ($(":scope > .offer", part)) return;
  const line = make("p", "This has changed meanwhile; what you typed is kept. ", { className: "offer" });
  line.setAttribute("role", "status");
  const button = make("button", "Show", { type: "button", className: "plain" });
  button.addEventListener("click", () => { line.remove(); refresh(part, true); });
  line.append(button);
  part.prepend(line);
}

const fieldPlace = (field) => `${field.form?.getAttribute("action") ?? ""} ${field.name} ${field.type === "radio" ? field.value : ""}`;

function swap(part, html) {
  const typed = new Map(all(FIELDS, part).filter((one) => one.name && isEdited(one)).map((one) => [fieldPlace(one), one]));
  const opened = new Set(all("details[open]", part).map(title));
  const known = new Set(all("details", part).map(title));
  const at = part.contains(document.activeElement) ? document.activeElement : null;
  shown.set(part, html);
  part.innerHTML = html;
  for (const fold of all("details", part)) if (known.has(title(fold))) fold.open = opened.has(title(fold));
  for (const field of all(FIELDS, part)) {
    const was = typed.get(fieldPlace(field));
    if (was && "checked" in field && /checkbox|radio/.test(field.type)) field.checked = was.checked;
    else if (was) field.value = was.value;
  }
  ready(part);
  if (at) refocus(part, at);
  if ("quiet" in part.dataset) return;
  part.classList.remove("fresh");
  void part.offsetWidth; // begins the animation anew
  part.classList.add("fresh");
  say(part.dataset.says ?? "Updated");
}

const title = (fold) => fold.id || $("summary", fold)?.textContent.trim() || "";

function refocus(part, at) {
  const same = (one) => (at.id ? one.id === at.id : at.name ? one.name === at.name : at.getAttribute("href") && one.getAttribute("href") === at.getAttribute("href"));
  const found = all("a, button, summary, [tabindex], " + FIELDS, part).find(same);
  found?.focus({ preventScroll: true });
}

function everySoOften() {
  if (document.hidden) return;
  for (const part of all("[data-every]")) {
    if (Date.now() - (fetchedAt.get(part) ?? loadedAt) >= 1000 * Number(part.dataset.every)) refresh(part);
  }
  if (source && Date.now() - heardAt > SILENT_MS) { lost = true; show("lost", "reconnecting, nothing is lost"); listen(); }
}

// ---- forms -----------------------------------------------------------------------------------------------------------

async function send(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  const method = (button?.getAttribute("formmethod") || form.getAttribute("method") || "get").toUpperCase();
  const to = button?.hasAttribute("formaction") ? button.formAction : form.action;
  const ask = () => fetch(method === "GET" ? `${to}?${body}` : to, {
    method, body: method === "GET" ? undefined : body, signal: AbortSignal.timeout(ANSWER_MS),
    headers: { "X-CSRF-Token": meta("csrf")?.content ?? "", "X-Fragment": "1", Accept: "text/html, application/json" },
  });
  let answer = await ask();
  if (answer.status === 403 && await newToken()) {
    body.set("csrf", meta("csrf").content);
    answer = await ask();
  }
  return answer;
}

// After signing in again in another tab this page's token is an old one.
async function newToken() {
  const answer = await fetch(location.href, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok || signedOut(answer)) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = $('meta[name="csrf"]', page)?.content;
  if (!fresh || fresh === meta("csrf")?.content) return false;
  meta("csrf").content = fresh;
  all('input[name="csrf"]').forEach((one) => { one.value = fresh; });
  return true;
}

async function submit(form, button) {
  const buttons = all("button", form).filter((one) => !one.disabled);
  buttons.forEach((one) => { one.disabled = true; });
  form.setAttribute("aria-busy", "true");
  problem(form, "");
  try {
    const answer = await send(form, button);
    if (signedOut(answer)) return problem(form, "Your session has ended. What you typed is kept: sign in again in another tab, then send it.", "/signin");
    const html = await answer.text();
    if (!answer.ok && !isPartOf(form, html, answer)) return problem(form, inWords(html, answer.status));
    if (answer.ok) all("[data-draft]", form).forEach(forget);
    taken(form, html, answer);
  } catch (error) {
    problem(form, error.name === "TimeoutError"
      ? "No answer in 20 s. Look whether it was done before you send it again; what you typed is kept."
      : "The server cannot be reached, nothing was sent. What you typed is kept; send it again.");
  } finally {
    buttons.forEach((one) => { one.disabled = false; });
    form.removeAttribute("aria-busy");
  }
}

// Refused, but with the form again and words beside it; any other answer to a refused form must not take its place.
const isPartOf = (form, html, answer) => answer.headers.get("content-type")?.startsWith("text/html")
  && (!html.includes("<html") || (form.dataset.target && html.includes(`id="${form.dataset.target.slice(1)}"`)));

function taken(form, html, answer) {
  const target = form.dataset.target && $(form.dataset.target);
  form.closest("dialog")?.close();
  if (!target) return location.assign(answer.redirected ? answer.url : location.href);
  const words = form.dataset.says;
  all(FIELDS, target).forEach((one) => { if (one.form === form) one.value = one.defaultValue; }); // sent: no longer typed
  swap(target, inner(html, target.id));
  $('[role="alert"], .problem, .done', target)?.scrollIntoView({ block: "nearest" });
  say(words);
}

function inWords(text, status) {
  try {
    const { error, detail, remedy } = JSON.parse(text);
    const what = error ?? (typeof detail === "string" ? detail : detail?.map((one) => `${one.loc?.at(-1)}: ${one.msg}`).join("; "));
    return [what, remedy].filter(Boolean).join(". ");
  } catch { return `It was not taken: the server answered ${status}.`; }
}

function problem(form, words, link = "") {
  let line = $(":scope > .problem", form);
  if (!line && words) { line = make("p", "", { className: "problem" }); line.setAttribute("role", "alert"); form.append(line); }
  if (!line) return;
  line.hidden = !words;
  line.textContent = words;
  if (link) line.append(" ", make("a", "Sign in", { href: link, target: "_blank" }));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-ajax]")) { event.preventDefault(); submit(form, event.submitter); return; }
  if ((form.getAttribute("method") || "").toLowerCase() === "post")
    sessionStorage.setItem("sent", JSON.stringify(all("[data-draft]", form).map(draftKey)));
});

// ---- drafts ----------------------------------------------------------------------------------------------------------

const draftKey = (field) => `draft:${meta("me")?.content ?? ""}:${field.dataset.draft}`;
const forget = (field) => localStorage.removeItem(draftKey(field));

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!field.matches?.("[data-draft]")) return;
  if (field.value) localStorage.setItem(draftKey(field), JSON.stringify({ text: field.value, at: Date.now() }));
  else forget(field);
});

function restore(field) {
  const kept = JSON.parse(localStorage.getItem(draftKey(field)) ?? "null");
  if (!kept || field.value !== field.defaultValue || field.value === kept.text) return;
  if (Date.now() - kept.at > DRAFT_DAYS * 86400e3) return forget(field);
  field.value = kept.text;
}

// A plain form was sent and the page after it came: its drafts have arrived, unless it says that something was wrong.
function settleSent() {
  const sent = JSON.parse(sessionStorage.getItem("sent") ?? "[]");
  if (!sent.length || location.pathname === "/signin") return;
  sessionStorage.removeItem("sent");
  if (!$("main .problem")) sent.forEach((key) => localStorage.removeItem(key));
}

// ---- plots -----------------------------------------------------------------------------------------------------------
// <svg data-plot="x0 x1 t0 t1 y0 y1 v0 v1" [data-clock="ZONE"]>: units of the picture against seconds and values. Lines are
// polylines with data-name and data-unit.

const SVG = "http://www.w3.org/2000/svg";

function plane(svg) {
  const [x0, x1, t0, t1, y0, y1, v0, v1] = svg.dataset.plot.split(" ").map(Number);
  return {
    t0, t1, y0, y1, x: (t) => x0 + ((t - t0) / (t1 - t0)) * (x1 - x0), t: (x) => t0 + ((x - x0) / (x1 - x0)) * (t1 - t0),
    value: (y) => v0 + ((y - y0) / (y1 - y0)) * (v1 - v0),
  };
}

function readAt(line, x, step) {
  const points = line.getAttribute("points").trim().split(/\s+/).map((pair) => pair.split(",").map(Number));
  if (x < points[0][0] - step || x > points.at(-1)[0] + step) return null;
  return points.reduce((best, one) => (Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best))[1];
}

const figures = (value) => (Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3))));

function timeWords(svg, t) {
  if (svg.dataset.clock) return new Date(1000 * t).toLocaleTimeString("en-GB", { timeZone: svg.dataset.clock });
  const s = Math.abs(Math.round(t)), pad = (n) => String(n).padStart(2, "0");
  return `${t < 0 ? "-" : ""}${s >= 3600 ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}` : Math.floor(s / 60)}:${pad(s % 60)}`;
}

function cursorAt(t) {
  for (const svg of all("svg[data-plot]")) {
    const on = plane(svg), inside = t !== null && t >= on.t0 && t <= on.t1;
    let rule = $(".cursor", svg);
    if (!rule) svg.append(rule = document.createElementNS(SVG, "line"));
    rule.setAttribute("class", "cursor");
    rule.toggleAttribute("hidden", !inside);
    rule.setAttribute("visibility", inside ? "visible" : "hidden");
    for (const [name, at] of [["x1", on.x(t)], ["x2", on.x(t)], ["y1", on.y0], ["y2", on.y1]]) rule.setAttribute(name, inside ? at.toFixed(1) : 0);
    const values = valuesOf(svg);
    values.replaceChildren(...(inside ? [timeWords(svg, t), ...read(svg, on, t)] : resting.get(values)));
  }
}

function read(svg, on, t) {
  const found = new Map(), kinds = new Map();
  const step = (on.x(on.t1) - on.x(on.t0)) / 60;
  for (const line of all("polyline[data-name]", svg)) {
    const y = readAt(line, on.x(t), step);
    kinds.set(line.dataset.name, (line.getAttribute("class") ?? "").replace("line-", "name-"));
    if (y !== null || !found.has(line.dataset.name)) found.set(line.dataset.name, y === null ? "not read" : `${figures(on.value(y))} ${line.dataset.unit ?? ""}`);
  }
  return [...found].map(([name, value]) => { const made = make("span", `${name} `, { className: kinds.get(name) }); made.append(make("b", value)); return made; });
}

const resting = new WeakMap(); // what a plot says while no cursor is on it

function valuesOf(svg) {
  if (!svg.nextElementSibling?.classList.contains("values")) svg.after(make("p", "", { className: "values" }));
  const values = svg.nextElementSibling;
  if (!resting.has(values)) resting.set(values, [...values.childNodes]);
  return values;
}

function wirePlot(svg) {
  svg.setAttribute("tabindex", "0");
  valuesOf(svg);
  let t = null, telling;
  const move = (to) => {
    const on = plane(svg);
    t = to === null ? null : Math.min(on.t1, Math.max(on.t0, to));
    cursorAt(t);
    clearTimeout(telling);
    if (t !== null && document.activeElement === svg) telling = setTimeout(() => say([...valuesOf(svg).childNodes].map((one) => one.textContent.trim()).filter(Boolean).join(", ")), 400);
  };
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move(plane(svg).t(at.x));
  });
  svg.addEventListener("pointerleave", () => move(null));
  svg.addEventListener("blur", () => move(null));
  svg.addEventListener("keydown", (event) => {
    const on = plane(svg), step = (on.t1 - on.t0) / (event.shiftKey ? 12 : 120);
    const to = { ArrowLeft: (t ?? on.t1) - step, ArrowRight: (t ?? on.t0) + step, Home: on.t0, End: on.t1, Escape: null }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
}

// ---- cells of the plant: one stop of the tab key, arrows inside --------------------------------------------------------

function wireGrid(grid) {
  const cells = () => all("a, button", grid);
  cells().forEach((cell, number) => { cell.tabIndex = number ? -1 : 0; });
  const tell = (event) => {
    const cell = event.target.closest("a[title]"), line = $(grid.dataset.told);
    if (cell && line) line.textContent = cell.title;
  };
  grid.addEventListener("pointerover", tell);
  grid.addEventListener("focusin", tell);
  grid.addEventListener("keydown", (event) => {
    const list = cells(), at = list.indexOf(document.activeElement);
    const across = list.findIndex((cell) => cell.offsetTop > list[0].offsetTop);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + (across > 0 ? across : 1), ArrowUp: at - (across > 0 ? across : 1), Home: 0, End: list.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = list[Math.min(list.length - 1, Math.max(0, to))];
    list.forEach((cell) => { cell.tabIndex = cell === next ? 0 : -1; });
    next.focus();
  });
}

// ---- keys ------------------------------------------------------------------------------------------------------------

const keyWords = (key) => (/^[A-Z]$/.test(key) ? `Shift+${key}` : key);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || localStorage.getItem("keys") === "off") return;
  if ($("dialog[open]") || event.target.closest?.("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])")) return;
  const found = all("[data-key]").find((one) => one.dataset.key === event.key && !one.disabled);
  if (!found) return;
  event.preventDefault();
  if (found.matches(FIELDS)) found.focus();
  else found.click();
  if (found.matches("summary")) ($(FIELDS, found.parentElement) ?? found).focus();
});

function openHelp() {
  const rows = new Map(all("[data-key]").map((one) => [one.dataset.key, one]));
  $("#help-keys").replaceChildren(...[...rows].map(([key, one]) => {
    const row = document.createElement("tr"), cell = document.createElement("th");
    cell.append(make("kbd", keyWords(key)));
    row.append(cell, make("td", one.dataset.says ?? one.getAttribute("aria-label") ?? one.textContent.trim().replace(/\s+/g, " ")));
    return row;
  }));
  $("#keys-on").checked = localStorage.getItem("keys") !== "off";
  $("#help").showModal();
}

document.addEventListener("click", (event) => {
  const at = event.target.closest("a, button");
  if (!at) return;
  if (at.id === "kill" && !event.ctrlKey && !event.metaKey) { event.preventDefault(); $("#kill-dialog").showModal(); }
  if (at.id === "help-open") openHelp();
  if ("close" in at.dataset) at.closest("dialog").close();
});
$("#keys-on")?.addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));

// ---- clocks ----------------------------------------------------------------------------------------------------------

const clock = $("#clock"), loadedAt = Date.now();
const ahead = clock ? Number(clock.dataset.now) - loadedAt : 0; // the server's clock counts, not the browser's

function span(seconds) {
  const s = Math.max(0, Math.round(seconds)), m = Math.floor(s / 60), h = Math.floor(m / 60);
  return h >= 48 ? `${Math.floor(h / 24)} days` : h ? `${h} h ${m % 60} min` : m >= 10 ? `${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
}

function tick() {
  const now = Date.now() + ahead;
  if (clock) {
    const parts = new Intl.DateTimeFormat("en-GB", { timeZone: clock.dataset.clock, year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).formatToParts(now);
    const of = Object.fromEntries(parts.map((one) => [one.type, one.value]));
    clock.textContent = `${of.year}-${of.month}-${of.day} ${of.hour}:${of.minute}:${of.second} ${of.timeZoneName}`;
  }
  for (const one of all("time[data-left]")) {
    const left = (Date.parse(one.dateTime) - now) / 1000;
    one.textContent = left > 0 ? `in ${span(left)}` : "expired";
    one.classList.toggle("warn", left < 300);
  }
  for (const one of all("time[data-ago]")) one.textContent = `${span((now - Date.parse(one.dateTime)) / 1000)} ago`;
}

// ---- beginning -------------------------------------------------------------------------------------------------------

function ready(inside) {
  all("[data-draft]", inside).forEach(restore);
  all("svg[data-plot]", inside).forEach(wirePlot);
  all("[data-grid]", inside).forEach(wireGrid);
  tick();
}

settleSent();
ready(document);
$("#help-open")?.removeAttribute("hidden");
setInterval(tick, 1000);
setInterval(everySoOften, 1000);
if ($("#link")) {
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); lost = true; } else { show("lost", "catching up"); listen(); }
  });
  addEventListener("offline", () => { lost = true; show("lost", "reconnecting, nothing is lost"); });
  addEventListener("online", listen); // a stream over a network that is gone stays open for long
}
