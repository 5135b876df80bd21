// Shows answers as they come. The server draws each step of a turn whole; this only puts it in its place, and goes on from
// the step it saw where the connection was lost. Without it the page waits for the answer and shows it.

const talk = document.querySelector("#talk");
const followed = new Set();
const LOST_MS = 3000;

function follow(turn) {
  if (followed.has(turn.id)) return;
  followed.add(turn.id);
  const source = new EventSource(`${turn.dataset.stream}?after=${turn.dataset.after}`);
  const at = () => document.getElementById(turn.id);
  source.addEventListener("step", (event) => {
    if (!at()) return source.close();
    at().dataset.after = event.lastEventId;
    draw(at(), JSON.parse(event.data).html);
  });
  source.addEventListener("end", (event) => {
    source.close();
    followed.delete(turn.id);
    if (!at()) return;
    at().dataset.state = "ended";
    delete at().dataset.stream;
    draw(at(), JSON.parse(event.data).html);
    const lead = at().querySelector(".lead, .warn, .problem");
    document.querySelector("#told").textContent = lead?.textContent ?? "Answered";
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    followed.delete(turn.id);
    setTimeout(() => at()?.dataset.stream && follow(at()), LOST_MS);
  });
}

function draw(turn, html) {
  const low = window.innerHeight + window.scrollY >= document.body.scrollHeight - 160;
  const open = [...turn.querySelectorAll("details")].map((one) => one.open);
  turn.innerHTML = html;
  turn.querySelectorAll("details").forEach((one, number) => { one.open = open[number] ?? false; });
  if (low) document.querySelector(".ask")?.scrollIntoView({ block: "end" });
}

function ready() {
  for (const turn of talk.querySelectorAll("[data-stream]")) follow(turn);
  count();
}

const field = () => document.querySelector("#question");

function count() {
  const left = document.querySelector("#question-left");
  if (!field() || !left) return;
  const over = field().value.trim().length - Number(field().dataset.most);
  left.className = over > 0 ? "over" : "";
  left.textContent = over > 0 ? `${over.toLocaleString("en")} characters too many: shorten it, or ask in parts.` : "";
}

document.addEventListener("input", (event) => { if (event.target === field()) count(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    talk.querySelector(".stop-turn button")?.click();
  } else if (event.key === "Enter" && event.target === field() && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    field().form.requestSubmit();
  }
});

new MutationObserver(ready).observe(talk, { childList: true });
ready();
if (talk.querySelector(".turn")) document.querySelector(".ask")?.scrollIntoView({ block: "end" });
field()?.focus({ preventScroll: true });
