"use strict";
// Figures of a list of events. Everything is counted after the review: rejected events are not in the list.

const FOLLOWS_WITHIN_S = 5;

// Parts of the session: the whole, then from each marker to the next one.
function segments(markers, lengthS) {
  const whole = { name: "whole session", from: 0, to: lengthS };
  const ordered = [...markers].sort((a, b) => a.time_s - b.time_s);
  const named = ordered.map((one, at) => ({
    name: one.label,
    from: one.time_s,
    to: at + 1 < ordered.length ? ordered[at + 1].time_s : Math.max(lengthS, one.time_s),
  }));
  return [whole, ...merged(named)];
}

// A label that comes several times is one row of several pieces.
function merged(named) {
  const found = new Map();
  for (const one of named) {
    if (!found.has(one.name)) found.set(one.name, { name: one.name, pieces: [] });
    found.get(one.name).pieces.push([one.from, one.to]);
  }
  return [...found.values()];
}

function piecesOf(segment) {
  return segment.pieces ?? [[segment.from, segment.to]];
}

function secondsOf(segment) {
  return piecesOf(segment).reduce((sum, [from, to]) => sum + to - from, 0);
}

// Count by onset; time is what of the events lies inside, overlaps counted once.
function figures(list, segment) {
  let seconds = 0;
  const begun = [];
  for (const [from, to] of piecesOf(segment)) {
    begun.push(...list.filter((one) => one.onset >= from && (one.onset < to || (to >= data.length_s && one.onset <= to))));
    seconds += covered(list.map((one) => [Math.max(one.onset, from), Math.min(one.offset, to)]));
  }
  const total = secondsOf(segment);
  return {
    count: begun.length,
    perMinute: total > 0 ? (60 * begun.length) / total : null,
    seconds,
    mean: begun.length ? begun.reduce((sum, one) => sum + one.offset - one.onset, 0) / begun.length : null,
    share: total > 0 ? seconds / total : null,
  };
}

// Length of the union of intervals.
function covered(intervals) {
  let sum = 0;
  let end = -Infinity;
  for (const [from, to] of intervals.filter(([a, b]) => b > a).sort((a, b) => a[0] - b[0])) {
    sum += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return sum;
}

// The union itself, for the line of a body part.
function union(list) {
  const joined = [];
  for (const one of [...list].sort((a, b) => a.onset - b.onset)) {
    const last = joined.at(-1);
    if (last && one.onset <= last[1]) last[1] = Math.max(last[1], one.offset);
    else joined.push([one.onset, one.offset]);
  }
  return joined;
}

// [first][second] → how often an event of one kind is the next to begin, at most FOLLOWS_WITHIN_S later.
function transitions(list, kindOf) {
  const ordered = [...list].sort((a, b) => a.onset - b.onset);
  const counts = new Map();
  for (let at = 0; at + 1 < ordered.length; at += 1) {
    if (ordered[at + 1].onset - ordered[at].onset > FOLLOWS_WITHIN_S) continue;
    const key = JSON.stringify([kindOf(ordered[at]), kindOf(ordered[at + 1])]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

// Bars that overlap get lanes of their own: adds `lane` and returns how many there are.
function lanes(list) {
  const ends = [];
  for (const one of list) {
    let lane = ends.findIndex((end) => end <= one.onset);
    if (lane < 0) lane = ends.push(0) - 1;
    ends[lane] = one.offset;
    one.lane = lane;
  }
  return ends.length;
}

function percentile(values, share) {
  const sorted = values.filter((one) => one !== null && one !== undefined).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : null;
}
