"use strict";
// The session, and what reviewers made of it. A correction is the whole state of an event after it: the latest counts.

const data = JSON.parse(document.getElementById("data").textContent);
const STORE = `manet-live:corrections:${data.session}`;

const view = { camera: 0, time: 0, from: 0, to: 1, chosen: null };

class Review {
  // Corrections that the record holds, and those made in this browser; `onChange` is called after each change.
  constructor(recorded) {
    this.recorded = recorded;
    this.own = [];
    this.reviewer = "";
    this.keeps = true; // false: the browser's storage is closed to this page
    this.undoable = [];
    this.onChange = () => {};
    this.load();
  }

  load() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE) || "{}");
      this.own = Array.isArray(kept.corrections) ? kept.corrections : [];
      this.reviewer = typeof kept.reviewer === "string" ? kept.reviewer : "";
    } catch {
      this.keeps = false;
    }
  }

  keep() {
    try {
      localStorage.setItem(STORE, JSON.stringify({ reviewer: this.reviewer, corrections: this.own }));
      this.keeps = true;
    } catch {
      this.keeps = false;
    }
  }

  // All corrections, each once, in the order in which they were made.
  get all() {
    const known = new Map();
    for (const one of [...this.recorded, ...this.own]) known.set(JSON.stringify(normal(one)), one);
    return [...known.values()].sort((a, b) => (a.made_at < b.made_at ? -1 : a.made_at > b.made_at ? 1 : 0));
  }

  add(event, change) {
    const state = { ...stateOf(event), ...change };
    this.undoable.push(stateOf(event));
    this.write(state);
  }

  undo() {
    const state = this.undoable.pop();
    if (state) this.write(state);
    return state;
  }

  write(state) {
    const last = this.all.at(-1);
    let time = new Date().toISOString();
    if (last && time <= last.made_at) time = new Date(Date.parse(last.made_at) + 1).toISOString();
    this.own.push(normal({ ...state, reviewer: this.reviewer, made_at: time }));
    this.keep();
    this.onChange();
  }

  file() {
    return {
      format: 1,
      session: data.session,
      reviewer: this.reviewer,
      saved_at: new Date().toISOString(),
      corrections: this.own,
    };
  }
}

const FIELDS = ["event", "camera", "verdict", "action", "body_part", "onset_s", "offset_s", "reviewer", "made_at"];

function normal(correction) {
  return Object.fromEntries(FIELDS.map((name) => [name, correction[name] ?? null]));
}

function stateOf(event) {
  return {
    event: event.key,
    camera: event.camera,
    verdict: event.verdict,
    action: event.action,
    body_part: event.part,
    onset_s: event.onset,
    offset_s: event.offset,
  };
}

const review = new Review(data.corrections);
const machineEvents = data.events.map((one) => ({ ...one, verdict: "open", added: false }));

// The events of all cameras after all corrections, by onset; rejected ones stay, with their verdict.
function correctedEvents() {
  const found = new Map(machineEvents.map((one) => [one.key, { ...one }]));
  for (const one of review.all) {
    const before = found.get(one.event) || { key: one.event, camera: one.camera, confidence: null, candidates: [], added: true };
    const machine = machineEvents.find((event) => event.key === one.event);
    const after = { ...before, verdict: one.verdict, action: one.action, part: one.body_part };
    after.onset = one.onset_s;
    after.offset = one.offset_s;
    after.renamed = Boolean(machine) && (machine.action !== one.action || machine.part !== one.body_part);
    after.moved = Boolean(machine) && (machine.onset !== one.onset_s || machine.offset !== one.offset_s);
    after.reviewer = one.reviewer;
    found.set(one.event, after);
  }
  const events = [...found.values()].filter((one) => !(one.added && one.verdict === "rejected"));
  return events.sort((a, b) => a.onset - b.onset || (a.key < b.key ? -1 : 1));
}

let events = correctedEvents();

function cameraEvents() {
  return events.filter((one) => one.camera === view.camera);
}

function countedEvents() {
  return cameraEvents().filter((one) => one.verdict !== "rejected");
}

function nameOf(event) {
  return event.action ?? `${event.part}, action not known`;
}

function verdictWords(event) {
  const words = [];
  if (event.added) words.push("added");
  if (event.renamed) words.push("renamed");
  if (event.moved) words.push("moved");
  if (event.verdict !== "open" && !(event.added && event.verdict === "accepted")) words.push(event.verdict);
  return words.join(", ");
}

function partIndex(name) {
  return data.parts.indexOf(name);
}

// 75.25 → 1:15.3; from an hour on 1:02:03.0
function clock(seconds, digits = 1) {
  const factor = 10 ** digits;
  let rest = Math.round(Math.abs(seconds) * factor);
  const fraction = rest % factor;
  rest = (rest - fraction) / factor;
  const parts = [rest % 60, Math.floor(rest / 60) % 60, Math.floor(rest / 3600)];
  const two = (value) => String(value).padStart(2, "0");
  const lead = parts[2] ? `${parts[2]}:${two(parts[1])}` : String(parts[1]);
  const tail = digits ? `.${String(fraction).padStart(digits, "0")}` : "";
  return `${seconds < 0 ? "-" : ""}${lead}:${two(parts[0])}${tail}`;
}

// Makes an element: attributes, then text or children. Text is never read as markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined).map((one) => (one instanceof Node ? one : String(one))));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}
