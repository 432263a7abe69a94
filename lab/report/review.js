"use strict";
// Going through the events by keyboard: the list, the event at hand, the choice of a name, the file to save.

function matches(event) {
  const which = byId("which").value;
  const text = byId("filter").value.trim().toLowerCase();
  const changed = event.added || event.renamed || event.moved;
  const wanted = which === "all" || (which === "changed" ? changed : which === "open" ? event.verdict === "open" && !changed : event.verdict === which);
  return wanted && (!text || `${nameOf(event)} ${event.part}`.toLowerCase().includes(text));
}

function listed() {
  return cameraEvents().filter((one) => matches(one) || one.key === view.chosen);
}

function chosenEvent() {
  return events.find((one) => one.key === view.chosen) ?? null;
}

const MOST_LISTED = 150; // rows at once: a long session has thousands

function showList(from = null) {
  const shown = listed();
  const chosen = shown.findIndex((one) => one.key === view.chosen);
  const last = Math.max(shown.length - MOST_LISTED, 0);
  const first = Math.min(Math.max(typeof from === "number" ? from : chosen - MOST_LISTED / 2, 0), last);
  const more = (words, to) => element("tr", { onclick: () => showList(to) }, element("td", { colspan: 5, class: "quiet" }, words));
  byId("events").tBodies[0].replaceChildren(
    ...(first > 0 ? [more(`${first} before these`, first - MOST_LISTED)] : []),
    ...shown.slice(first, first + MOST_LISTED).map(listRow),
    ...(first < last ? [more(`${shown.length - first - MOST_LISTED} behind these`, first + MOST_LISTED)] : []),
  );
  byId("shown").textContent = `${shown.length} of ${cameraEvents().length}`;
  const done = cameraEvents().filter((one) => one.verdict !== "open" || one.added || one.renamed || one.moved).length;
  byId("progress").textContent = `${done} of ${cameraEvents().length} reviewed`;
  if (!review.keeps) warn("This browser keeps nothing for this page: save the corrections before it is closed.");
}

function listRow(event) {
  const words = verdictWords(event);
  const kind = event.verdict !== "open" && !event.added ? event.verdict : "changed";
  return element(
    "tr",
    { class: `${event.verdict === "rejected" ? "rejected " : ""}${event.key === view.chosen ? "chosen" : ""}`, "data-key": event.key, onclick: () => choose(event.key) },
    element("td", { class: "mono" }, clock(event.onset)),
    element("td", {}, element("span", { class: "dot", style: { background: `var(--part-${partIndex(event.part)})` } }), nameOf(event)),
    element("td", { class: "number" }, `${(event.offset - event.onset).toFixed(1)} s`),
    element("td", { class: "number" }, event.confidence === null ? "–" : percent(event.confidence)),
    element("td", {}, words ? element("span", { class: `tag ${kind}` }, words) : ""),
  );
}

function showDetail() {
  const event = chosenEvent();
  if (!event) {
    fill("detail", element("h2", {}, "No event chosen"), element("p", { class: "quiet" }, "J goes to the next event, K to the one before; ? shows all keys."));
    return;
  }
  const others = event.candidates.filter(([name]) => name !== event.action).slice(0, 3);
  const candidates = others.map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  const key = (name, words, act) => element("button", { onclick: act, title: name }, element("kbd", {}, name), ` ${words}`);
  fill(
    "detail",
    element("h2", {}, element("span", { class: "dot", style: { background: `var(--part-${partIndex(event.part)})` } }), nameOf(event)),
    element("p", { class: "mono" }, `${clock(event.onset, 2)} – ${clock(event.offset, 2)} · ${event.part}`, event.running ? " · still ran where the record ends" : "", event.posture ? " · ended as a posture" : ""),
    element("p", { class: "quiet" }, event.confidence === null ? "added by a reviewer" : `sure: ${percent(event.confidence)}${candidates ? ` · or: ${candidates}` : ""}`, verdictWords(event) ? ` · ${verdictWords(event)}${event.reviewer ? ` (${event.reviewer})` : ""}` : ""),
    element("div", { class: "actions" }, key("A", "accept", () => judge("accepted")), key("X", "reject", () => judge("rejected")), key("R", "rename", rename), key("[", "begins here", () => move("onset_s")), key("]", "ends here", () => move("offset_s")), key("N", "add", addEvent), key("U", "undo", undo)),
  );
}

function choose(key, follow = true) {
  view.chosen = key;
  const event = chosenEvent();
  if (event) {
    reveal(event.onset, event.offset);
    if (follow) seek(event.onset);
  }
  refreshReview();
  document.querySelector("#events tr.chosen")?.scrollIntoView({ block: "nearest" });
}

function step(direction, wanted = () => true) {
  const shown = listed();
  const at = shown.findIndex((one) => one.key === view.chosen);
  let next = at < 0 && direction > 0 ? shown.findIndex((one) => one.onset >= view.time - 1e-6) : at + direction;
  if (at < 0 && direction < 0) next = shown.findLastIndex((one) => one.onset < view.time);
  while (shown[next] && !wanted(shown[next])) next += direction;
  if (shown[next]) choose(shown[next].key);
}

function judge(verdict) {
  const event = chosenEvent();
  if (!event) return;
  review.add(event, { verdict });
  step(1, (one) => one.verdict === "open");
}

function move(edge) {
  const event = chosenEvent();
  if (!event) return;
  const time = Math.round(view.time * 1000) / 1000;
  const change = { onset_s: event.onset, offset_s: event.offset, [edge]: time };
  if (change.onset_s < change.offset_s) review.add(event, change);
  else say("An event must begin before it ends: go to another moment first.");
}

function shift(seconds) {
  const event = chosenEvent();
  if (!event) return;
  const by = Math.max(seconds, -event.onset);
  const moved = (time) => Math.round((time + by) * 1000) / 1000;
  review.add(event, { onset_s: moved(event.onset), offset_s: moved(event.offset) });
}

function addEvent() {
  const begun = Math.round(Math.min(view.time, Math.max(data.length_s - 0.1, 0)) * 1000) / 1000;
  const length = Math.round(Math.min(begun + 1, Math.max(data.length_s, begun + 0.1)) * 1000) / 1000;
  askName("Add an event", [], (action, part) => {
    const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(16).padStart(8, "0");
    const event = { key: `added-${random}`, camera: view.camera, action, part, onset: begun, offset: length };
    view.chosen = event.key;
    review.undoable.push({ ...stateOf(event), verdict: "rejected" });
    review.write({ ...stateOf(event), verdict: "accepted" });
  });
}

function rename() {
  const event = chosenEvent();
  if (event) askName(`Rename “${nameOf(event)}”`, event.candidates.map(([name]) => name), (action, part) => review.add(event, { action, body_part: part }));
}

function undo() {
  const state = review.undo();
  if (!state) return say("Nothing to undo on this page.");
  choose(state.event, false);
}

function say(text) {
  byId("shown").textContent = text;
}

// A dialog with the 52 actions and the 7 parts; `first` come first. Calls `take(action or null, part)`.
function askName(title, first, take) {
  const dialog = byId("names");
  const choices = data.actions.map(([action, part]) => ({ action, part, text: `${action} (${part})` }));
  choices.sort((a, b) => rank(first, a.action) - rank(first, b.action));
  choices.push(...data.parts.map((part) => ({ action: null, part, text: `${part}, action not known` })));
  const filter = byId("name-filter");
  let at = 0;
  const found = () => choices.filter((one) => one.text.toLowerCase().includes(filter.value.trim().toLowerCase()));
  const list = () => {
    const shown = found();
    at = Math.min(Math.max(at, 0), Math.max(shown.length - 1, 0));
    fill("name-list", ...shown.map((one, place) => element("li", { "aria-selected": String(place === at), onclick: () => finish(one) }, element("span", { class: "dot", style: { background: `var(--part-${partIndex(one.part)})` } }), one.text)));
    document.querySelector('#name-list li[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  };
  const finish = (one) => {
    filter.blur();
    dialog.close();
    if (one) take(one.action, one.part);
  };
  byId("names-title").textContent = title;
  filter.value = "";
  filter.oninput = () => {
    at = 0;
    list();
  };
  filter.onkeydown = (press) => {
    if (press.key === "ArrowDown" || press.key === "ArrowUp") {
      at += press.key === "ArrowDown" ? 1 : -1;
      list();
      press.preventDefault();
    } else if (press.key === "Enter") {
      press.preventDefault(); // at once, so that the next key is the page's again
      if (found()[at]) finish(found()[at]);
    }
  };
  list();
  dialog.showModal();
  filter.focus();
}

function rank(first, name) {
  const at = first.indexOf(name);
  return at < 0 ? first.length : at;
}

function save() {
  const text = `${JSON.stringify(review.file(), null, 1)}\n`;
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: address, download: `corrections-${data.session}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function refreshReview() {
  showList();
  showDetail();
  draw();
}
