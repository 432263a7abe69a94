"use strict";
// The three pictures that share one time axis: the whole session, the events by body part, the expression.

const LABELS_WIDTH = 104;
const LANE = 17;
const BAND = 5;
const ROW_GAP = 9;
const HEAD = 20;
const LEAST_SPAN_S = 2;

let bars = []; // of the last drawing: {x, y, width, height, event}

const palette = new Map(); // as read from the style sheet, until the browser's scheme changes

function color(name) {
  if (!palette.has(name)) palette.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return palette.get(name);
}

function prepared(canvas, height) {
  const width = canvas.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  return { pen, width, height };
}

function axis(width, from, to) {
  const plot = Math.max(width - LABELS_WIDTH - 8, 10);
  return {
    plot,
    x: (time) => LABELS_WIDTH + ((time - from) / (to - from)) * plot,
    time: (x) => from + ((x - LABELS_WIDTH) / plot) * (to - from),
  };
}

function tickStep(span, plot) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
  return steps.find((step) => (step / span) * plot >= 70) ?? 7200;
}

function drawTicks({ pen, height }, { x, plot }, from, to) {
  const step = tickStep(to - from, plot);
  for (let at = Math.ceil(from / step) * step; at <= to + 1e-9; at += step) {
    pen.fillStyle = color("line");
    pen.fillRect(Math.round(x(at)), HEAD - 4, 1, height - HEAD + 4);
    pen.fillStyle = color("quiet");
    pen.textAlign = "center";
    pen.fillText(clock(at, step < 1 ? 1 : 0), x(at), 8);
  }
  pen.textAlign = "left";
}

// [from, to] of the times in which nobody was in view.
function absences() {
  const lines = data.visibility.filter((one) => one.camera === view.camera);
  return lines.flatMap((one, at) => (one.people === 0 ? [[one.time_s, lines[at + 1]?.time_s ?? data.length_s]] : []));
}

function drawAbsences({ pen, height }, { x }, top) {
  pen.fillStyle = color("void");
  for (const [from, to] of absences()) pen.fillRect(x(from), top, Math.max(x(to) - x(from), 1), height - top);
}

function clipToPlot({ pen, height }, { plot }) {
  pen.beginPath();
  pen.rect(LABELS_WIDTH - 14, 0, plot + 22, height);
  pen.clip();
}

function drawMarkers({ pen, height }, { x }, labelled) {
  let free = -Infinity;
  for (const one of data.markers) {
    const at = x(one.time_s);
    pen.fillStyle = color("accent");
    pen.fillRect(at, labelled ? HEAD - 4 : 0, 1.5, height);
    if (!labelled || at < free) continue;
    const width = pen.measureText(one.label).width + 8;
    pen.fillRect(at, HEAD - 4, width, 14);
    pen.fillStyle = color("card");
    pen.fillText(one.label, at + 4, HEAD + 3);
    free = at + width;
  }
}

function drawCursor({ pen, height }, { x }) {
  pen.fillStyle = color("bad");
  pen.fillRect(x(view.time) - 0.75, 0, 1.5, height);
}

function drawOverview() {
  const canvas = prepared(byId("overview"), 34);
  const scale = axis(canvas.width, 0, data.length_s);
  const { pen } = canvas;
  drawAbsences(canvas, scale, 0);
  for (const event of countedEvents()) {
    pen.fillStyle = color(`part-${partIndex(event.part)}`);
    const x = scale.x(event.onset);
    pen.fillRect(x, 3 + 4 * partIndex(event.part), Math.max(scale.x(event.offset) - x, 1.2), 3.2);
  }
  drawMarkers(canvas, scale, false);
  pen.strokeStyle = color("accent");
  pen.lineWidth = 2;
  pen.strokeRect(scale.x(view.from), 1, Math.max(scale.x(view.to) - scale.x(view.from), 3), 32);
  drawCursor(canvas, scale);
}

function rowsOf(list) {
  let top = HEAD + 16;
  return data.parts.map((part) => {
    const own = list.filter((one) => one.part === part);
    const height = BAND + 3 + Math.max(lanes(own), 1) * LANE;
    const row = { part, own, top, height };
    top += height + ROW_GAP;
    return row;
  });
}

function drawTimeline() {
  const rows = rowsOf(cameraEvents());
  const last = rows.at(-1);
  const canvas = prepared(byId("timeline"), last.top + last.height + 6);
  const scale = axis(canvas.width, view.from, view.to);
  const { pen } = canvas;
  bars = [];
  pen.save();
  drawLabels(canvas, rows);
  clipToPlot(canvas, scale);
  drawAbsences(canvas, scale, HEAD);
  drawTicks(canvas, scale, view.from, view.to);
  for (const row of rows) drawRow(canvas, scale, row);
  drawMarkers(canvas, scale, true);
  drawCursor(canvas, scale);
  pen.restore();
}

function drawLabels({ pen, width }, rows) {
  for (const row of rows) {
    pen.fillStyle = color("line");
    pen.fillRect(0, row.top - ROW_GAP / 2, width, 1);
    pen.fillStyle = color(`part-${partIndex(row.part)}`);
    pen.beginPath();
    pen.arc(6, row.top + 8, 4, 0, 7);
    pen.fill();
    pen.fillStyle = color("ink");
    pen.fillText(row.part, 16, row.top + 8);
  }
}

function drawRow(canvas, scale, row) {
  const { pen } = canvas;
  const hue = color(`part-${partIndex(row.part)}`);
  pen.fillStyle = hue;
  for (const [from, to] of union(row.own.filter((one) => one.verdict !== "rejected"))) {
    if (to >= view.from && from <= view.to) pen.fillRect(scale.x(from), row.top, Math.max(scale.x(to) - scale.x(from), 1), BAND);
  }
  for (const event of row.own) {
    if (event.offset < view.from || event.onset > view.to) continue;
    const x = scale.x(event.onset);
    const width = Math.max(scale.x(event.offset) - x, 2);
    const y = row.top + BAND + 3 + event.lane * LANE;
    drawBar(pen, { x, y, width, height: LANE - 3 }, event, hue);
    bars.push({ x, y, width, height: LANE - 3, event });
  }
}

function drawBar(pen, { x, y, width, height }, event, hue) {
  const rejected = event.verdict === "rejected";
  pen.globalAlpha = rejected ? 0.3 : 1;
  pen.fillStyle = event.action === null ? hatching(pen, hue) : hue;
  pen.fillRect(x, y, width, height);
  pen.setLineDash(event.added ? [3, 2] : []);
  pen.strokeStyle = event.key === view.chosen ? color("ink") : hue;
  pen.lineWidth = event.key === view.chosen ? 2.5 : 1;
  pen.strokeRect(x, y, width, height);
  pen.setLineDash([]);
  const mark = event.verdict === "accepted" ? "✓ " : rejected ? "✗ " : "";
  const text = mark + nameOf(event);
  if (pen.measureText(text).width < width - 6) {
    pen.fillStyle = event.action === null ? color("ink") : color("card");
    pen.fillText(text, x + 4, y + height / 2 + 0.5);
  } else if (mark && width > 12) {
    pen.fillStyle = color("card");
    pen.fillText(mark, x + 2, y + height / 2 + 0.5);
  }
  pen.globalAlpha = 1;
}

function hatching(pen, hue) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const ink = tile.getContext("2d");
  ink.strokeStyle = hue;
  ink.globalAlpha = 0.55;
  ink.lineWidth = 1.4;
  ink.beginPath();
  for (const shift of [-6, 0, 6]) {
    ink.moveTo(shift, 6);
    ink.lineTo(shift + 6, 0);
  }
  ink.stroke();
  return pen.createPattern(tile, "repeat");
}

function drawEmotion() {
  const series = data.emotion[view.camera];
  byId("emotion-section").hidden = !series;
  if (!series) return;
  const rowHeight = 40;
  const canvas = prepared(byId("emotion"), HEAD + rowHeight * data.emotions.length + 4);
  const scale = axis(canvas.width, view.from, view.to);
  const { pen } = canvas;
  pen.save();
  for (const [at, name] of data.emotions.entries()) {
    pen.fillStyle = color("ink");
    pen.fillText(name, 16, HEAD + at * rowHeight + rowHeight / 2);
    pen.fillStyle = color("line");
    pen.fillRect(0, HEAD + at * rowHeight, canvas.width, 1);
  }
  clipToPlot(canvas, scale);
  drawTicks(canvas, scale, view.from, view.to);
  for (const at of data.emotions.keys()) drawShare(pen, scale, series, at, HEAD + at * rowHeight + 3, rowHeight - 6);
  drawCursor(canvas, scale);
  pen.restore();
}

// One emotion: its share as a line, the 95 % interval as a band; nothing where it abstains.
function drawShare(pen, scale, series, at, top, height) {
  const y = (share) => top + height * (1 - share);
  const hue = color(`emotion-${at}`);
  for (const [first, last] of answered(series)) {
    const steps = Array.from({ length: last - first + 1 }, (_, step) => first + step);
    const x = (step) => scale.x(series.time_s[step]);
    pen.beginPath();
    for (const step of steps) pen.lineTo(x(step), y(series.high[step][at]));
    for (const step of steps.toReversed()) pen.lineTo(x(step), y(series.low[step][at]));
    pen.fillStyle = hue;
    pen.globalAlpha = 0.22;
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    for (const step of steps) pen.lineTo(x(step), y(series.share[step][at]));
    pen.strokeStyle = hue;
    pen.lineWidth = 1.6;
    pen.stroke();
  }
}

// Runs of estimates in view that do not abstain: [first, last].
function answered(series) {
  const runs = [];
  for (const [at, shares] of series.share.entries()) {
    const near = series.time_s[at] >= view.from - 5 && series.time_s[at] <= view.to + 5;
    if (!shares || !near) continue;
    if (runs.length && runs.at(-1)[1] === at - 1) runs.at(-1)[1] = at;
    else runs.push([at, at]);
  }
  return runs;
}

let drawing = 0;

function draw() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(() => {
    drawOverview();
    drawTimeline();
    drawEmotion();
    byId("clock").textContent = clock(view.time);
  });
}

function show(from, to) {
  const span = Math.min(Math.max(to - from, LEAST_SPAN_S), Math.max(data.length_s, LEAST_SPAN_S));
  view.from = Math.min(Math.max(from, 0), Math.max(data.length_s - span, 0));
  view.to = view.from + span;
  draw();
}

function zoom(factor, around = view.time) {
  const centre = Math.min(Math.max(around, view.from), view.to);
  show(centre - (centre - view.from) * factor, centre + (view.to - centre) * factor);
}

function reveal(from, to) {
  const span = view.to - view.from;
  if (from < view.from || to > view.to) show((from + to - span) / 2, (from + to + span) / 2);
}

function listenToPictures(seek, choose) {
  const timeline = byId("timeline");
  let pressed = null;
  timeline.addEventListener("pointerdown", (press) => {
    pressed = { x: press.offsetX, from: view.from, to: view.to, moved: false };
    timeline.setPointerCapture(press.pointerId);
  });
  timeline.addEventListener("pointermove", (press) => {
    if (!pressed) {
      timeline.title = hit(press)?.event ? `${nameOf(hit(press).event)}, ${clock(hit(press).event.onset)}` : "";
      return;
    }
    const shift = ((press.offsetX - pressed.x) / axis(timeline.clientWidth, 0, 1).plot) * (pressed.to - pressed.from);
    if (Math.abs(press.offsetX - pressed.x) > 4) pressed.moved = true;
    if (pressed.moved) show(pressed.from - shift, pressed.to - shift);
  });
  timeline.addEventListener("pointerup", (press) => {
    const still = pressed && !pressed.moved;
    pressed = null;
    if (!still) return;
    const found = hit(press);
    if (found) choose(found.event.key);
    else seek(axis(timeline.clientWidth, view.from, view.to).time(press.offsetX));
  });
  timeline.addEventListener("wheel", (turn) => {
    if (!turn.ctrlKey && !turn.shiftKey && Math.abs(turn.deltaX) <= Math.abs(turn.deltaY)) return;
    turn.preventDefault();
    const scale = axis(timeline.clientWidth, view.from, view.to);
    if (turn.ctrlKey) zoom(Math.exp(turn.deltaY / 300), scale.time(turn.offsetX));
    else show(...[view.from, view.to].map((one) => one + ((turn.deltaX || turn.deltaY) / scale.plot) * (view.to - view.from)));
  }, { passive: false });
  listenToOverview();
}

function listenToOverview() {
  const overview = byId("overview");
  let begun = null;
  const timeAt = (press) => axis(overview.clientWidth, 0, data.length_s).time(press.offsetX);
  overview.addEventListener("pointerdown", (press) => {
    begun = timeAt(press);
    overview.setPointerCapture(press.pointerId);
  });
  overview.addEventListener("pointermove", (press) => {
    if (begun !== null && Math.abs(timeAt(press) - begun) > data.length_s / 200) {
      show(Math.min(begun, timeAt(press)), Math.max(begun, timeAt(press)));
    }
  });
  overview.addEventListener("pointerup", (press) => {
    const span = view.to - view.from;
    if (begun !== null && Math.abs(timeAt(press) - begun) <= data.length_s / 200) show(begun - span / 2, begun + span / 2);
    begun = null;
  });
}

function hit(press) {
  return bars.find(
    (bar) => press.offsetX >= bar.x - 1 && press.offsetX <= bar.x + bar.width + 1 && press.offsetY >= bar.y - 1 && press.offsetY <= bar.y + bar.height + 1,
  );
}
