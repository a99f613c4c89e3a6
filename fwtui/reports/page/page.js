"use strict";
const run = JSON.parse(document.getElementById("run").textContent);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const lanes = run.lanes.map((lane, i) => ({ ...lane, colour: `var(--lane-${i % 6})`, shown: true }));

function node(tag, attributes = {}, parent = null, text = null) {
  const svg = ["svg", "g", "path", "line", "rect", "text", "circle", "polygon"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}
function digits(value) {
  const size = Math.abs(value);
  return size === 0 ? "0" : size >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
}
const ms = (value) => (value === null ? "n/a" : value !== 0 && Math.abs(value) < 0.001 ? "<0.001 ms" : Math.abs(value) >= 10000 ? digits(value / 1000) + " s" : digits(value) + " ms");
const seconds = (value) => (value >= 120 ? `${Math.floor(value / 60)}m ${String(Math.round(value % 60)).padStart(2, "0")}s` : digits(value) + " s");
const percent = (value) => (value === null ? "n/a" : `${(value * 100).toFixed(Math.abs(value) < 0.095 ? 1 : 0)} %`.replace("-", "−"));
function ticks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((times) => times * power >= raw) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}
function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const times of [1, 2, 5]) if (times * 10 ** power >= low && times * 10 ** power <= high) found.push(times * 10 ** power);
  return found;
}
function tip(card) {
  const box = node("div", { class: "tip", hidden: "" }, card);
  return {
    show(x, y, lines) {
      box.replaceChildren();
      lines.forEach(([text, strong, colour]) => {
        const line = node("div", {}, box);
        if (colour) node("i", { style: `display:inline-block;width:9px;height:9px;border-radius:3px;margin-right:6px;background:${colour}` }, line);
        node(strong ? "b" : "span", {}, line, text);
      });
      box.hidden = false;
      box.style.left = Math.min(x + 14, card.clientWidth - box.offsetWidth - 8) + "px";
      box.style.top = Math.max(4, y - box.offsetHeight - 10) + "px";
    },
    hide() { box.hidden = true; },
  };
}

/* Step times over the run: a band that holds nine steps in ten, the mean, the stalls, and what else the lane did. */
function stepsChart(card) {
  const W = 1060, H = 340, L = 58, R = 12, T = 16, B = 46, whole = [0, run.series.slot_s * run.series.count];
  let range = whole.slice(), logarithmic = false;
  const bar = node("div", { class: "bar" }, card);
  lanes.forEach((lane) => {
    const button = node("button", { "aria-pressed": "true" }, bar);
    node("i", { style: `background:${lane.colour}` }, button);
    button.append(lane.name);
    button.onclick = () => { lane.shown = !lane.shown; button.setAttribute("aria-pressed", lane.shown); draw(); };
  });
  const scale = node("button", {}, bar, "log scale");
  scale.onclick = () => { logarithmic = !logarithmic; scale.textContent = logarithmic ? "linear scale" : "log scale"; draw(); };
  node("span", { class: "hint" }, bar, "drag to zoom, double-click for all");
  const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "step time over the run" }, card);
  const label = tip(card);
  const x = (s) => L + ((s - range[0]) / (range[1] - range[0])) * (W - L - R);
  const time = (pixel) => range[0] + ((pixel - L) / (W - L - R)) * (range[1] - range[0]);

  function draw() {
    svg.replaceChildren();
    const shown = lanes.filter((lane) => lane.shown);
    const first = Math.max(0, Math.floor(range[0] / run.series.slot_s)), last = Math.ceil(range[1] / run.series.slot_s);
    const highs = shown.flatMap((lane) => lane.series.high.slice(first, last)).filter((v) => v !== null).sort((a, b) => a - b);
    const lows = shown.flatMap((lane) => lane.series.low.slice(first, last)).filter((v) => v !== null);
    const top = highs.length ? highs[Math.floor((highs.length - 1) * 0.97)] * 1.25 : 1;
    const floor = logarithmic ? Math.min(...lows, top / 10) * 0.8 : 0;
    const y = (v) => {
      const share = logarithmic ? Math.log(Math.max(v, floor) / floor) / Math.log(top / floor) : v / top;
      return T + (1 - Math.min(1.02, share)) * (H - T - B);
    };
    for (const at of logarithmic ? logTicks(floor, top) : ticks(0, top, 5)) {
      node("line", { x1: L, x2: W - R, y1: y(at), y2: y(at), class: "grid" }, svg);
      node("text", { x: L - 8, y: y(at) + 4, "text-anchor": "end" }, svg, digits(at));
    }
    node("text", { x: L - 8, y: T - 5, "text-anchor": "end" }, svg, "ms");
    for (const at of ticks(range[0], range[1], 9)) node("text", { x: x(at), y: H - B + 34, "text-anchor": "middle" }, svg, `${digits(at)} s`);
    shown.forEach((lane) => {
      const s = lane.series, pieces = [[]];
      for (let i = first; i < last; i++) {
        if (s.mean[i] === null || s.mean[i] === undefined) {
          // a gap of a slot or two is chance; a longer one is another lane's turn, and the line breaks off
          if (pieces.at(-1).length && i - pieces.at(-1).at(-1) > 2) pieces.push([]);
        } else pieces.at(-1).push(i);
      }
      const middle = (i) => x((i + 0.5) * run.series.slot_s);
      for (const piece of pieces.filter((p) => p.length)) {
        const up = piece.map((i) => `${middle(i).toFixed(1)},${y(s.high[i]).toFixed(1)}`);
        const down = piece.map((i) => `${middle(i).toFixed(1)},${y(s.low[i]).toFixed(1)}`).reverse();
        if (piece.length > 1) node("path", { d: `M${up.join("L")}L${down.join("L")}Z`, fill: lane.colour, opacity: 0.16 }, svg);
        node("path", { d: "M" + piece.map((i) => `${middle(i).toFixed(1)},${y(s.mean[i]).toFixed(1)}`).join("L") + (piece.length === 1 ? "h2" : ""), fill: "none", stroke: lane.colour, "stroke-width": 1.8, "stroke-linejoin": "round" }, svg);
      }
    });
    lanes.forEach((lane, row) => {
      for (const stall of lane.stall_list) {
        if (!lane.shown || stall.at < range[0] || stall.at > range[1]) continue;
        const cx = x(stall.at), cy = T + 2 + row * 9;
        node("polygon", { points: `${cx},${cy - 4} ${cx - 4},${cy + 3} ${cx + 4},${cy + 3}`, fill: "var(--stall)", stroke: lane.colour }, svg);
      }
      const strip = H - B + 6 + row * Math.min(6, 18 / lanes.length);
      for (const [from, to, state] of lane.series.states) {
        const a = Math.max(from * run.series.slot_s, range[0]), b = Math.min(to * run.series.slot_s, range[1]);
        const fill = { 1: "var(--compile)", 2: "var(--warn)", 3: lane.colour, 5: "var(--unexplained)" }[state];
        if (fill && b > a) node("rect", { x: x(a), y: strip, width: Math.max(1, x(b) - x(a)), height: 3.4, fill, opacity: state === 3 ? 0.85 : 0.6 }, svg);
      }
    });
    node("line", { x1: L, x2: W - R, y1: H - B, y2: H - B, class: "axis" }, svg);
    const cross = node("line", { y1: T, y2: H - B, stroke: "var(--faint)", "stroke-dasharray": "3 3", visibility: "hidden" }, svg);
    const zoom = node("rect", { y: T, height: H - T - B, fill: "var(--lane-0)", opacity: 0.12, visibility: "hidden" }, svg);
    const cover = node("rect", { x: L, y: 0, width: W - L - R, height: H - B, fill: "transparent" }, svg);
    let from = null;
    const place = (event) => ((event.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width) * W;
    cover.onpointermove = (event) => {
      const at = Math.max(L, Math.min(W - R, place(event))), slot = Math.floor(time(at) / run.series.slot_s);
      cross.setAttribute("x1", at); cross.setAttribute("x2", at); cross.setAttribute("visibility", "visible");
      const lines = [[seconds(time(at)), true]];
      for (const lane of shown) {
        let near = slot;
        for (let d = 0; d <= 2 && lane.series.mean[near] == null; d++) near = [slot - d, slot + d].find((i) => lane.series.mean[i] != null) ?? slot;
        const s = lane.series, known = s.mean[near] != null;
        lines.push([`${lane.name}  ${known ? `${ms(s.mean[near])}  (${digits(s.low[near])} – ${digits(s.high[near])})` : run.state_names[s.state[slot]] ?? ""}`, false, lane.colour]);
        const stall = lane.stall_list.find((one) => Math.abs(x(one.at) - at) < 6);
        if (stall) lines.push([`▲ lost ${ms(stall.lost)} in ${stall.phase}${stall.location ? " at " + stall.location : ""}`, false, "var(--stall)"]);
      }
      const box = card.getBoundingClientRect();
      label.show(event.clientX - box.left, event.clientY - box.top, lines);
      if (from !== null) { zoom.setAttribute("x", Math.min(from, at)); zoom.setAttribute("width", Math.abs(at - from)); zoom.setAttribute("visibility", "visible"); }
    };
    cover.onpointerleave = () => { label.hide(); cross.setAttribute("visibility", "hidden"); };
    cover.onpointerdown = (event) => { from = Math.max(L, place(event)); cover.setPointerCapture(event.pointerId); };
    cover.onpointerup = (event) => {
      const to = Math.min(W - R, place(event));
      if (from !== null && Math.abs(to - from) > 8) range = [time(Math.min(from, to)), time(Math.max(from, to))];
      from = null; draw();
    };
    cover.ondblclick = () => { range = whole.slice(); draw(); };
  }
  draw();
}

/* Each lane's typical and stalled step by phase, on one scale: the phase that swells is the cause. */
function phasesChart(card) {
  const rows = [];
  for (const lane of lanes) {
    if (lane.typical) rows.push([lane, "typical step", lane.typical]);
    if (lane.stalled) rows.push([lane, "stalled step", lane.stalled]);
  }
  const sum = (phases) => Object.values(phases).reduce((a, b) => a + b, 0);
  const W = 1060, L = 210, R = 130, height = 30, svg = node("svg", { viewBox: `0 0 ${W} ${rows.length * (height + 12) + 4}`, role: "img", "aria-label": "a step by phase" }, card);
  const label = tip(card), top = Math.max(...rows.filter((row) => row[1] === "typical step").map((row) => sum(row[2])), 1e-9);
  rows.forEach(([lane, kind, phases], number) => {
    const y = number * (height + 12) + 2, total = sum(phases), over = total > top * 1.001;
    const width = (W - L - R) * (over ? 1 : total / top);
    node("text", { x: 0, y: y + 13, class: "strong" }, svg, lane.name.length > 29 ? lane.name.slice(0, 28) + "…" : lane.name);
    node("text", { x: 0, y: y + 27, style: kind[0] === "s" ? "fill:var(--stall)" : "" }, svg, kind);
    let x = L;
    for (const [name, value] of Object.entries(phases)) {
      const part = (width * value) / total;
      const rect = node("rect", { x, y, width: Math.max(0, part - 1), height, fill: `var(--${name})`, rx: 2 }, svg);
      if (part > name.length * 6.6 + 10) node("text", { x: x + part / 2, y: y + height / 2 + 4, "text-anchor": "middle", style: "fill:#101010;font-weight:600;pointer-events:none" }, svg, name);
      rect.onpointermove = (event) => {
        const box = card.getBoundingClientRect();
        label.show(event.clientX - box.left, event.clientY - box.top, [[`${name}: ${ms(value)}`, true, `var(--${name})`], [`${percent(value / total)} of the ${kind}: ${run.phases[name] ?? ""}`, false]]);
      };
      rect.onpointerleave = () => label.hide();
      x += part;
    }
    node("text", { x: x + 6, y: y + height / 2 + 4, class: "strong" }, svg, ms(total) + (over ? " (own scale)" : ""));
  });
  const legend = node("div", { class: "legend" }, card);
  for (const name of Object.keys(run.phases).filter((one) => rows.some((row) => row[2][one] > 0))) {
    const item = node("span", {}, legend);
    node("i", { style: `background:var(--${name})` }, item);
    item.append(name);
  }
}

/* The gap between a lane and the baseline as a waterfall, by phase or by cause: each part with its interval. */
function gapChart(card, pair, all) {
  const largest = Math.max(...all.map((part) => Math.abs(part.ms))), small = (part) => Math.abs(part.ms) < largest / 100;
  const parts = all.filter((part) => !small(part));
  const rest = all.filter(small);
  if (rest.length) parts.push({ code: "the rest", ms: rest.reduce((sum, part) => sum + part.ms, 0), ci95: null, share_of_gap: null, covers: rest.map((part) => part.code) });
  const W = 1060, L = 250, R = 130, height = 22, H = (parts.length + 1) * (height + 8) + 26;
  const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `the gap of ${pair.lane} by part` }, card);
  let at = 0;
  const ends = parts.map((part) => { const from = at; at += part.ms; return [from, at]; });
  const bounds = [0, at, ...(pair.gap_ci95 ?? []), ...ends.flat(), ...parts.flatMap((part, i) => (part.ci95 ? part.ci95.map((v) => ends[i][0] + v) : []))];
  const low = Math.min(...bounds), high = Math.max(...bounds), span = high - low || 1;
  const x = (v) => L + ((v - low) / span) * (W - L - R);
  for (const tick of ticks(low, high, 6)) {
    node("line", { x1: x(tick), x2: x(tick), y1: 0, y2: H - 22, class: tick === 0 ? "axis" : "grid" }, svg);
    node("text", { x: x(tick), y: H - 6, "text-anchor": "middle" }, svg, `${tick > 0 ? "+" : ""}${digits(tick)} ms`);
  }
  const label = tip(card);
  [...parts.map((part, i) => [part, ...ends[i]]), [null, 0, at]].forEach(([part, from, to], row) => {
    const y = row * (height + 8) + 2, whole = part ? part.cause ?? part.code : "the gap";
    const name = whole.length > 38 ? whole.slice(0, 37) + "…" : whole;
    node("text", { x: L - 12, y: y + 15, "text-anchor": "end", class: part ? "" : "strong" }, svg, name);
    const fill = part ? `var(--${part.phase && run.phases[part.phase] ? part.phase : part.code}, var(--faint))` : "var(--ink)";
    const rect = node("rect", { x: Math.min(x(from), x(to)), y, width: Math.max(1.5, Math.abs(x(to) - x(from))), height, fill, rx: 2, opacity: part ? 1 : 0.8 }, svg);
    const interval = part ? part.ci95 : pair.gap_ci95;
    if (interval) node("path", { d: `M${x(from + interval[0])},${y + 6}v10m0,-5H${x(from + interval[1])}m0,-5v10`, stroke: part ? "var(--ink)" : "var(--stall)", fill: "none", "stroke-width": 1.3, opacity: 0.75 }, svg);
    node("text", { x: W - R + 12, y: y + 15, class: "strong" }, svg, `${to - from >= 0 ? "+" : "−"}${ms(Math.abs(to - from))}`);
    if (part && part.share_of_gap !== null) node("text", { x: W - 2, y: y + 15, "text-anchor": "end" }, svg, percent(part.share_of_gap));
    rect.onpointermove = (event) => {
      const box = card.getBoundingClientRect();
      const lines = [[`${whole}: ${to - from >= 0 ? "+" : "−"}${ms(Math.abs(to - from))} a step`, true]];
      if (interval) lines.push([`95 % interval ${digits(interval[0])} to ${digits(interval[1])} ms`, false]);
      if (part && part.covers && part.covers.length) lines.push([`covers ${part.covers.join(", ")}`, false]);
      label.show(event.clientX - box.left, event.clientY - box.top, lines);
    };
    rect.onpointerleave = () => label.hide();
  });
}

/* A series a lane over the run: loss, CPU, memory. */
function smallChart(card, title, key, show) {
  const W = 340, H = 130, L = 44, R = 8, T = 24, B = 22;
  const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title }, card);
  node("text", { x: 0, y: 13, class: "strong" }, svg, title);
  const known = lanes.flatMap((lane) => lane.series[key]).filter((v) => v !== null);
  if (!known.length) { node("text", { x: L, y: H / 2 }, svg, "n/a"); return; }
  const top = Math.max(...known) * 1.08 || 1, end = run.series.slot_s * run.series.count;
  const x = (s) => L + (s / end) * (W - L - R), y = (v) => T + (1 - v / top) * (H - T - B);
  for (const at of ticks(0, top, 3)) { node("line", { x1: L, x2: W - R, y1: y(at), y2: y(at), class: "grid" }, svg); node("text", { x: L - 6, y: y(at) + 4, "text-anchor": "end" }, svg, show(at)); }
  for (const at of ticks(0, end, 4)) node("text", { x: x(at), y: H - 6, "text-anchor": "middle" }, svg, `${digits(at)} s`);
  lanes.forEach((lane) => {
    const points = lane.series[key].map((v, i) => (v === null ? null : `${x((i + 0.5) * run.series.slot_s).toFixed(1)},${y(v).toFixed(1)}`)).filter(Boolean);
    if (points.length) node("path", { d: "M" + points.join("L"), fill: "none", stroke: lane.colour, "stroke-width": 1.5, "stroke-linejoin": "round" }, svg);
  });
}

const theme = document.getElementById("theme"), prefers = matchMedia("(prefers-color-scheme: dark)");
function use(name) { document.documentElement.dataset.theme = name; theme.textContent = name === "dark" ? "light" : "dark"; }
use(prefers.matches ? "dark" : "light");
prefers.onchange = () => use(prefers.matches ? "dark" : "light");
theme.onclick = () => use(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
for (const card of document.querySelectorAll("[data-chart]")) {
  const kind = card.dataset.chart;
  if (kind === "steps") stepsChart(card);
  else if (kind === "phases") phasesChart(card);
  else if (kind === "gap" || kind === "causes") {
    const pair = run.comparison.pairs[Number(card.dataset.pair)];
    gapChart(card, pair, kind === "gap" ? pair.by_phase : pair.causes);
  }
  else if (kind === "loss") smallChart(card, "loss", "loss", digits);
  else if (kind === "cpu") smallChart(card, "CPU, cores", "cpu", digits);
  else if (kind === "memory") smallChart(card, "memory, GiB", "memory", digits);
  else if (kind === "gpu") smallChart(card, "GPU, share in use", "gpu", percent);
}
document.documentElement.dataset.drawn = "yes";
