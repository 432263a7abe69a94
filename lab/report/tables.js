"use strict";
// What is said in figures and words: facts, rates, transitions, quality, latency, settings, use.

const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);

function table(head, rows, attributes = {}) {
  const cells = (tag, row) => row.map((one) => (one instanceof Node ? element(tag, {}, one) : element(tag, isFigure(one) ? { class: "number" } : {}, one)));
  return element(
    "table",
    attributes,
    head ? element("thead", {}, element("tr", {}, ...cells("th", head))) : null,
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))),
  );
}

function isFigure(text) {
  return /^[-–]?[\d.:]*( ?(%|s|ms))?$/.test(String(text)) && String(text) !== "";
}

function fill(id, ...children) {
  byId(id).replaceChildren(...children.filter((one) => one !== null && one !== undefined));
}

function showHead() {
  const about = data.metadata;
  byId("title").textContent = about.participant ? `Session of ${about.participant}` : "Recorded session";
  document.title = `${byId("title").textContent} · manet-live`;
  const begun = data.started_at ? new Date(data.started_at).toLocaleString() : "time of day not known";
  const words = [begun, data.sources.join(", "), ...Object.entries(about).map(([name, value]) => `${name}: ${value}`)];
  words.push(data.consent ? `consent: ${data.consent}` : "no consent noted", `session ${data.session}`);
  byId("subtitle").textContent = words.join(" · ");
  fill("warnings", ...data.missing.map((one) => element("div", { class: "warning" }, one)));
}

function warn(text) {
  const shown = [...byId("warnings").children].some((one) => one.textContent === text);
  if (!shown) byId("warnings").append(element("div", { class: "warning" }, text));
}

function showFacts() {
  const counted = countedEvents();
  const summary = data.summaries[view.camera];
  const known = counted.filter((one) => one.action !== null).length;
  const person = summary && summary.one_s !== null ? summary.one_s + summary.several_s : null;
  const facts = [
    ["length", clock(data.length_s, 0), null],
    ["events", counted.length, counted.length ? `${known} with an action` : null],
    ["events a minute", number(data.length_s ? (60 * counted.length) / data.length_s : null), null],
    ["windows judged", summary ? percent(summary.windows_due ? summary.judged / summary.windows_due : null) : "–", null],
    ["somebody in view", summary && person !== null ? percent(summary.recorded_s ? person / summary.recorded_s : null) : "–", null],
    ["reported after", `${number(percentile(counted.map((one) => delayOf(one)), 0.5))} s`, "median, from the onset"],
  ];
  fill("facts", ...facts.map(([name, value, note]) => element("div", {}, element("dt", {}, name), element("dd", {}, value, note ? element("small", {}, ` ${note}`) : null))));
}

function delayOf(event) {
  return event.emitted === null || event.emitted === undefined ? null : event.emitted - event.machineOnset;
}

function showRates() {
  const counted = countedEvents();
  const pieces = segments(data.markers, data.length_s);
  const head = ["", "events", "a minute", "total", "mean", "of the time"];
  for (const piece of pieces.slice(1)) head.push(`${piece.name} (${clock(secondsOf(piece), 0)})`, "a minute");
  const line = (name, list) => {
    const all = figures(list, pieces[0]);
    const row = [name, all.count, number(all.perMinute, 2), `${number(all.seconds)} s`, `${number(all.mean)} s`, percent(all.share)];
    for (const piece of pieces.slice(1)) {
      const own = figures(list, piece);
      row.push(own.count, number(own.perMinute, 2));
    }
    return row;
  };
  const rows = [{ kind: "part", cells: line("all events", counted) }];
  for (const [at, part] of data.parts.entries()) {
    const own = counted.filter((one) => one.part === part);
    if (!own.length) continue;
    const dot = element("span", { class: "dot", style: { background: `var(--part-${at})` } });
    rows.push({ kind: "part", cells: line(element("span", {}, dot, part), own) });
    const names = [...new Set(own.map((one) => one.action))].sort((a, b) => count(own, b) - count(own, a));
    for (const name of names) rows.push({ kind: "action", cells: line(name ?? "action not known", own.filter((one) => one.action === name)) });
  }
  const made = table(head, rows.map((one) => one.cells));
  for (const [at, row] of [...made.tBodies[0].rows].entries()) row.className = rows[at].kind;
  const note = data.markers.length
    ? "A marker's column runs from it to the next marker."
    : "Without markers there is one column: markers set while the session runs give one each.";
  fill("rates", made, element("p", { class: "quiet" }, `${note} Rejected events are left out. Time is counted once where events overlap.`));
}

function count(list, action) {
  return list.filter((one) => one.action === action).length;
}

function showTransitions() {
  const counted = countedEvents();
  const counts = transitions(counted, (one) => one.part);
  const most = Math.max(1, ...counts.values());
  const grid = data.parts.map((first) => [
    first,
    ...data.parts.map((second) => {
      const value = counts.get(JSON.stringify([first, second])) ?? 0;
      const share = Math.round((60 * value) / most);
      return element("span", { style: { display: "block", background: `color-mix(in srgb, var(--accent) ${share}%, transparent)` } }, value || "·");
    }),
  ]);
  const pairs = [...transitions(counted.filter((one) => one.action !== null), (one) => one.action)];
  const top = pairs.map(([key, value]) => [JSON.parse(key).join(" → "), value]).sort((a, b) => b[1] - a[1]).slice(0, 8);
  fill(
    "transitions",
    element("p", { class: "quiet" }, `The next event that begins, at most ${FOLLOWS_WITHIN_S} s later: row first, column second.`),
    table(["", ...data.parts], grid, { class: "heat" }),
    top.length ? element("h3", {}, "Most frequent pairs of actions") : null,
    top.length ? table(null, top) : null,
  );
}

function showQuality() {
  const summary = data.summaries[view.camera];
  const stats = data.stats[view.camera];
  const rows = [];
  if (summary) {
    rows.push(["recorded", clock(summary.recorded_s)], ["windows due, judged", `${summary.windows_due}, ${summary.judged}`]);
    if (summary.baseline) rows.push(["windows for the baseline", summary.baseline]);
    for (const [cause, value] of Object.entries(summary.skipped)) rows.push([`windows skipped: ${cause}`, value]);
    for (const [name, words] of [["nobody_s", "nobody in view"], ["one_s", "one person in view"], ["several_s", "several people in view"], ["no_picture_s", "no picture (gaps)"]]) {
      if (summary[name] !== null) rows.push([words, `${number(summary[name])} s`]);
    }
    for (const [part, seconds] of Object.entries(summary.out_of_view_s ?? {})) {
      if (seconds) rows.push([`${part} out of view`, `${number(seconds)} s${summary.unreliable[part] ? `: ${summary.unreliable[part]} unreliable` : ""}`]);
    }
    if (summary.unreliable.frames) rows.push(["too few pictures", `${summary.unreliable.frames} unreliable`]);
  } else {
    rows.push(["summary", "missing: the session was cut off"]);
  }
  for (const [cause, value] of Object.entries(stats?.dropped ?? {})) rows.push([`pictures lost: ${cause}`, value]);
  if (stats) rows.push(["pictures", stats.frames], ["capture restarted", stats.restarts]);
  for (const [name, value] of Object.entries(stats?.lines_lost ?? {})) rows.push([`lines lost: ${name}`, value]);
  const notes = data.notes.filter((one) => one.detail && (one.camera === null || one.camera === view.camera));
  fill(
    "quality",
    table(null, rows, { class: "plain" }),
    element("details", {}, element("summary", {}, `What happened (${notes.length})`), table(null, notes.map((one) => [one.state, one.detail]), { class: "plain" })),
  );
}

function showLatency() {
  const counted = cameraEvents().filter((one) => one.delay);
  const parts = [["window", "the first window that shows it is full"], ["confirmation", "until it is sure"], ["queue", "waiting for the engine"], ["compute", "the engine"]];
  const rows = parts.map(([name, words]) => {
    const values = counted.map((one) => one.delay[name]);
    return [words, number(percentile(values, 0.5), 0), number(percentile(values, 0.9), 0)];
  });
  const stages = Object.entries(data.stats[view.camera]?.latency_ms ?? {}).map(([name, one]) => [name, number(one.p50), number(one.p99)]);
  fill(
    "latency",
    element("h3", {}, "From the onset to the confirmed event, ms"),
    table(["", "median", "90 %"], rows),
    stages.length ? element("h3", {}, "Stages of the last pictures and windows, ms") : null,
    stages.length ? table(["", "median", "99 %"], stages) : null,
    element("p", { class: "quiet" }, "Queue and engine are unknown for recordings: their events are the same on every machine."),
  );
}

// {a: {b: 1}} → [["a.b", 1]]; long lists are cut.
function flattened(value, name = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    const text = Array.isArray(value) && value.length > 12 ? `${value.length} values, ${Math.min(...value)} to ${Math.max(...value)}` : JSON.stringify(value);
    return [[name, text]];
  }
  return Object.entries(value).flatMap(([key, one]) => flattened(one, name ? `${name}.${key}` : key));
}

function showSettings() {
  const block = (title, value) => element("details", {}, element("summary", {}, title), table(null, flattened(value), { class: "plain" }));
  const thresholds = Object.entries(data.thresholds).map(([name, [enter, leave]]) => [name, number(enter, 3), number(leave, 3)]);
  fill(
    "settings",
    table(null, [["model", data.model], ["engine", data.engine], ["trained on", data.trained_on], ["speed", data.speed]], { class: "plain" }),
    thresholds.length ? element("details", {}, element("summary", {}, "Thresholds of each action"), table(["", "starts at", "ends below"], thresholds)) : null,
    block("Configuration", data.config),
    block("The model's card", data.card),
    data.emotion_card ? block("The emotion model's card", data.emotion_card) : null,
  );
}

function showUse() {
  const texts = [
    data.card.intended_use,
    "An event is a hint to look, not a finding. How far the model agrees with a trained coder is measured with `python -m lab agreement`, and belongs in print beside every figure of this page.",
    "The emotion estimate describes expression, not feeling. Inferring emotions at work, in education or in job interviews is prohibited in the EU (AI Act, Art. 5(1)(f)); whoever is filmed must be told (Art. 50(3)).",
    "Not for judging people, lie detection or medical decisions.",
    data.doubtful.length ? `These names may be exchanged in MA-52's official label file: ${data.doubtful.join(", ")}.` : null,
    data.emotion_note,
  ];
  fill("use", ...texts.filter(Boolean).map((one) => element("p", {}, one)));
  byId("emotion-note").textContent = "Share of the last seconds with its 95 % interval; no line where there is too little to see. Expression, not feeling.";
}

function showTables() {
  showFacts();
  showRates();
  showTransitions();
}
