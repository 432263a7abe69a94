"use strict";
// Starts the page: the video and its clock, the keys, and what is drawn when.

const video = byId("video");
const STEP_S = 1;
const FINE_S = 0.04;
const LENGTH_TOLERANCE_S = 1;
let playUntil = null;

function ownVideo() {
  return data.videos.find((one) => one.camera === view.camera) ?? null;
}

function toFile() {
  return data.file_offset_s[view.camera] ?? 0;
}

function seek(time) {
  view.time = Math.min(Math.max(time, 0), data.length_s);
  playUntil = null;
  if (ownVideo()) video.currentTime = Math.max(view.time + toFile(), 0);
  draw();
}

function play() {
  if (!ownVideo()) return;
  if (video.paused) video.play();
  else video.pause();
}

function playChosen() {
  const event = chosenEvent();
  if (!event || !ownVideo()) return;
  seek(Math.max(event.onset - 1, 0));
  playUntil = event.offset + 0.5;
  video.play();
}

function follow() {
  view.time = Math.min(Math.max(video.currentTime - toFile(), 0), data.length_s);
  if (playUntil !== null && view.time >= playUntil) {
    video.pause();
    playUntil = null;
  }
  if (view.time < view.from || view.time > view.to) show(view.time, view.time + view.to - view.from);
  draw();
  if (!video.paused) requestAnimationFrame(follow);
}

function listenToVideo() {
  video.addEventListener("play", () => requestAnimationFrame(follow));
  video.addEventListener("seeked", follow);
  video.addEventListener("error", () => warn(`The video ${ownVideo()?.name} cannot be shown: it must lie where it lay when the report was made, in a format that this browser plays.`));
  video.addEventListener("loadedmetadata", () => {
    const expected = data.length_s + toFile();
    if (Number.isFinite(video.duration) && Math.abs(video.duration - expected) > LENGTH_TOLERANCE_S) {
      warn(`The video is ${clock(video.duration)} long, the session ${clock(expected)}: it may be another recording.`);
    }
  });
}

function showCamera() {
  const own = ownVideo();
  video.hidden = !own;
  if (own) video.src = own.address;
  else video.removeAttribute("src");
  view.chosen = null;
  view.time = 0;
  show(0, data.length_s);
  showQuality();
  showLatency();
  showTables();
  refreshReview();
}

const KEYS = [
  ["J ↓", "next event", () => step(1)],
  ["K ↑", "event before", () => step(-1)],
  ["M", "next event that is not reviewed", () => step(1, (one) => one.verdict === "open")],
  ["A", "accept", () => judge("accepted")],
  ["X", "reject", () => judge("rejected")],
  ["R", "rename", () => rename()],
  ["[", "the event begins at the cursor", () => move("onset_s")],
  ["]", "the event ends at the cursor", () => move("offset_s")],
  ["H", "the event 0.1 s earlier", () => shift(-0.1)],
  ["L", "the event 0.1 s later", () => shift(0.1)],
  ["N", "add an event at the cursor", () => addEvent()],
  ["U", "undo", () => undo()],
  ["S", "save the corrections to a file", () => save()],
  ["Space", "play, pause", () => play()],
  ["Enter", "play the event", () => playChosen()],
  ["←", `${STEP_S} s back`, () => seek(view.time - STEP_S)],
  ["→", `${STEP_S} s on`, () => seek(view.time + STEP_S)],
  [",", "a little back", () => seek(view.time - FINE_S)],
  [".", "a little on", () => seek(view.time + FINE_S)],
  ["+", "zoom in", () => zoom(0.5)],
  ["−", "zoom out", () => zoom(2)],
  ["0", "whole session", () => show(0, data.length_s)],
  ["?", "these keys", () => byId("keys").showModal()],
];
const SPELLED = { Space: " ", "↓": "ArrowDown", "↑": "ArrowUp", "←": "ArrowLeft", "→": "ArrowRight", "−": "-" };

function listenToKeys() {
  const actions = new Map(KEYS.flatMap(([keys, , act]) => keys.split(" ").map((key) => [(SPELLED[key] ?? key).toLowerCase(), act])));
  fill("key-table", ...KEYS.map(([keys, words]) => element("tr", {}, element("td", {}, element("kbd", {}, keys)), element("td", {}, words))));
  document.addEventListener("keydown", (press) => {
    const dialog = press.target.closest("dialog"); // one that has just closed may still get a key
    const typing = dialog ? dialog.open : press.target.closest("input, select");
    const act = actions.get(press.key.toLowerCase());
    if (typing || !act || press.ctrlKey || press.metaKey || press.altKey) return;
    if (press.target.closest("button, video, summary") && (press.key === " " || press.key === "Enter")) return;
    press.preventDefault();
    act();
  });
}

function listenToControls() {
  byId("in").onclick = () => zoom(0.5);
  byId("out").onclick = () => zoom(2);
  byId("whole").onclick = () => show(0, data.length_s);
  byId("help").onclick = () => byId("keys").showModal();
  byId("save").onclick = save;
  byId("filter").oninput = () => showList();
  byId("which").onchange = () => showList();
  byId("reviewer").value = review.reviewer;
  byId("reviewer").oninput = () => {
    review.reviewer = byId("reviewer").value;
    review.keep();
  };
  fill("camera", ...data.sources.map((name, at) => element("option", { value: at }, name)));
  byId("camera").parentElement.hidden = data.sources.length < 2;
  byId("camera").onchange = () => {
    view.camera = Number(byId("camera").value);
    showCamera();
  };
}

function corrected() {
  events = correctedEvents();
  showTables();
  refreshReview();
}

function start() {
  showHead();
  showSettings();
  showUse();
  listenToControls();
  listenToKeys();
  listenToPictures(seek, choose);
  listenToVideo();
  showCamera();
  review.onChange = corrected;
  window.addEventListener("resize", draw);
  window.addEventListener("storage", (change) => {
    if (change.key !== STORE) return;
    review.load();
    corrected();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    palette.clear();
    draw();
  });
  document.body.dataset.ready = "yes";
}

start();
