"use strict";
// The curves of the page. Without this script the page shows them as SVG.
//
// All points of a curve stay in typed arrays. A plot gets the points of the visible range only:
// all of them if they are few, else the first, last, least and greatest of each bucket, so that
// each spike is visible. Zooming in shows the true points.
(() => {
  const BUCKETS = 500; // per plot: about one per pixel
  const HEIGHT = 240;
  const DASHES = [[], [8, 4], [3, 4]];
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const facts = read("facts");
  const panels = read("panels");
  const plots = new Map(); // number of the panel -> plot
  const state = restore();

  function restore() {
    const initial = { smoothing: 0, log: false, hidden: [], zoom: {} };
    try {
      return { ...initial, ...JSON.parse(sessionStorage.getItem("engine-report" + location.pathname)) };
    } catch {
      return initial; // the browser denies storage to files, or it has something else
    }
  }

  function save() {
    try {
      sessionStorage.setItem("engine-report" + location.pathname, JSON.stringify(state));
    } catch {
      // The page works without storage; only a reload loses the zoom.
    }
  }

  // ---- points

  function points(curve) {
    if (curve.x) return curve;
    const element = document.getElementById("points-" + curve.text);
    const text = atob(element.textContent);
    element.remove(); // the decoded points replace the text
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    let at = 0;
    if (curve.steps) {
      const [start, distance] = curve.steps;
      curve.x = new Float64Array(curve.count);
      for (let i = 0; i < curve.count; i++) curve.x[i] = start + distance * i;
    } else {
      curve.x = new Float64Array(bytes.buffer, 0, curve.count);
      at = curve.count * 8;
    }
    const kind = curve.wide ? Float64Array : Float32Array;
    curve.y = new kind(bytes.buffer, at, curve.count);
    return curve;
  }

  // The exponential moving average with bias correction (Kingma & Ba, 2015). A gap stays a gap.
  function smooth(y, weight) {
    const out = new Float64Array(y.length);
    let average = 0;
    let rest = 1;
    for (let i = 0; i < y.length; i++) {
      if (Number.isNaN(y[i])) {
        out[i] = NaN;
        continue;
      }
      average = weight * average + (1 - weight) * y[i];
      rest *= weight;
      out[i] = average / (1 - rest);
    }
    return out;
  }

  function shown(curve) {
    points(curve);
    if (!state.smoothing) return curve.y;
    if (curve.weight !== state.smoothing) {
      curve.smoothed = smooth(curve.y, state.smoothing);
      curve.weight = state.smoothing;
    }
    return curve.smoothed;
  }

  // The first place whose step is not less than a value.
  function place(x, value) {
    let low = 0;
    let high = x.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Return the points of a range, and one on each side, reduced to four per bucket.
  function reduce(x, y, from, to) {
    const start = Math.max(0, place(x, from) - 1);
    const stop = Math.min(x.length, place(x, to) + 2);
    const xs = [];
    const ys = [];
    const add = (i) => {
      xs.push(x[i]);
      ys.push(Number.isNaN(y[i]) || (state.log && y[i] <= 0) ? null : y[i]);
    };
    if (stop - start <= BUCKETS * 4) {
      for (let i = start; i < stop; i++) add(i);
      return [xs, ys];
    }
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const first = start + Math.floor(((stop - start) * bucket) / BUCKETS);
      const last = start + Math.floor(((stop - start) * (bucket + 1)) / BUCKETS) - 1;
      let least = -1;
      let greatest = -1;
      for (let i = first; i <= last; i++) {
        if (least < 0 ? !Number.isNaN(y[i]) : y[i] < y[least]) least = i;
        if (greatest < 0 ? !Number.isNaN(y[i]) : y[i] > y[greatest]) greatest = i;
      }
      const chosen = [first, least, greatest, last].filter((i) => i >= 0).sort((a, b) => a - b);
      chosen.forEach((i, n) => (n && i === chosen[n - 1]) || add(i));
    }
    return [xs, ys];
  }

  // The whole range of steps, with a margin where it is one step.
  function extent(panel) {
    const ends = panel.curves.map((curve) => points(curve).x);
    const low = Math.min(...ends.map((x) => x[0]));
    const high = Math.max(...ends.map((x) => x[x.length - 1]));
    return low < high ? [low, high] : [low - 1, high + 1];
  }

  function dataOf(panel, [from, to]) {
    const tables = panel.curves.map((curve) => reduce(curve.x, shown(curve), from, to));
    // uPlot draws through `undefined`, which join inserts, and leaves a gap at null.
    return tables.length === 1 ? tables[0] : uPlot.join(tables, tables.map(() => [0, 2].map((n) => n && 1)));
  }

  // ---- plots

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = (value) => (value == null ? "–" : Number(value.toPrecision(6)).toString());

  function axis(extra) {
    return { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, ...extra };
  }

  function compact(values) {
    return values.map((v) => {
      if (v == null) return "";
      const size = Math.abs(v);
      if (size >= 1e6) return number(v / 1e6) + "M";
      if (size >= 1e4) return number(v / 1e3) + "k";
      return size && size < 1e-3 ? v.toExponential() : number(v);
    });
  }

  // The values below the cursor are the true ones at the nearest step, whatever is drawn.
  function readout(panel, x) {
    const parts = panel.curves.filter((c) => !state.hidden.includes(facts.runs[c.run])).map((curve) => {
      let at = Math.min(place(curve.x, x), curve.count - 1);
      if (at && x - curve.x[at - 1] < curve.x[at] - x) at -= 1;
      const mean = state.smoothing ? ` (smoothed ${number(shown(curve)[at])})` : "";
      const value = Number.isNaN(curve.y[at]) ? "NaN" : number(curve.y[at]);
      return `${facts.runs[curve.run]}  ${panel.unit} ${curve.x[at]}: ${value}${mean}`;
    });
    return parts.join("\n");
  }

  function options(panel, key, output, width) {
    return {
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "engine-" + panel.unit, scales: ["x", null] } },
      scales: { x: { time: false }, y: { distr: state.log ? 3 : 1 } },
      axes: [axis({ values: (_, v) => compact(v) }), axis({ size: 64, values: (_, v) => compact(v) })],
      series: [{}, ...panel.curves.map((curve) => ({
        label: facts.runs[curve.run],
        show: !state.hidden.includes(facts.runs[curve.run]),
        stroke: color("--c" + (curve.run % 8)),
        width: 1.6,
        dash: DASHES[Math.floor(curve.run / 8) % 3],
        points: { show: curve.count <= 60, size: 5, fill: color("--c" + (curve.run % 8)) },
      }))],
      hooks: {
        setSelect: [(plot) => {
          const { left, width: selected } = plot.select;
          // The plots share their cursor: only the one that was dragged over zooms them.
          if (selected > 4 && plot.cursor.event) zoom(panel.unit, [plot.posToVal(left, "x"), plot.posToVal(left + selected, "x")]);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        setCursor: [(plot) => {
          output.textContent = plot.cursor.left >= 0 ? readout(panel, plot.posToVal(plot.cursor.left, "x")) : "";
        }],
      },
    };
  }

  function create(figure) {
    const key = Number(figure.dataset.panel);
    const panel = panels[key];
    const target = figure.querySelector(".plot");
    const old = plots.get(key);
    if (old) old.plot.destroy();
    figure.querySelector(".readout")?.remove();
    const output = document.createElement("p");
    output.className = "readout";
    const whole = extent(panel);
    const width = target.clientWidth;
    target.replaceChildren();
    figure.append(output);
    const plot = new uPlot(options(panel, key, output, width), [[], ...panel.curves.map(() => [])], target);
    target.tabIndex = 0;
    target.setAttribute("role", "img");
    target.setAttribute("aria-label", `${panel.name} by ${panel.unit}; a table of the best and last values is above`);
    plots.set(key, { plot, panel, whole, figure });
    plot.over.addEventListener("dblclick", () => zoom(panel.unit, null));
    target.onkeydown = (event) => {
      const step = { "+": [0.5, 0], "-": [2, 0], ArrowLeft: [1, -0.25], ArrowRight: [1, 0.25] }[event.key];
      if (event.key === "Escape") zoom(panel.unit, null);
      else if (step) move(panel.unit, ...step);
      else return;
      event.preventDefault();
    };
    update(key);
  }

  function update(key) {
    const { plot, panel, whole } = plots.get(key);
    const range = state.zoom[panel.unit] ?? whole;
    plot.setData(dataOf(panel, range), false);
    plot.setScale("x", { min: range[0], max: range[1] });
  }

  function zoom(unit, range) {
    if (range) state.zoom[unit] = range;
    else delete state.zoom[unit];
    save();
    for (const [key, { panel }] of plots) if (panel.unit === unit) update(key);
  }

  // Scale the visible range around its middle, and shift it by a fraction of its length.
  function move(unit, factor, shift) {
    const ends = [...plots.values()].filter(({ panel }) => panel.unit === unit).map(({ whole }) => whole);
    if (!ends.length) return;
    const whole = [Math.min(...ends.map((end) => end[0])), Math.max(...ends.map((end) => end[1]))];
    const [low, high] = state.zoom[unit] ?? whole;
    const half = Math.min((high - low) * factor, whole[1] - whole[0]) / 2;
    const middle = (low + high) / 2 + shift * (high - low);
    const kept = Math.min(Math.max(middle, whole[0] + half), whole[1] - half);
    zoom(unit, half * 2 >= whole[1] - whole[0] ? null : [kept - half, kept + half]);
  }

  // ---- controls

  function every(action) {
    for (const key of [...plots.keys()]) action(key);
    save();
  }

  function hide(run, button) {
    state.hidden = state.hidden.includes(run) ? state.hidden.filter((name) => name !== run) : [...state.hidden, run];
    press(run, button);
    every((key) => {
      const { plot, panel } = plots.get(key);
      panel.curves.forEach((curve, n) => facts.runs[curve.run] === run && plot.setSeries(n + 1, { show: !state.hidden.includes(run) }));
    });
  }

  const press = (run, button) => button.setAttribute("aria-pressed", String(!state.hidden.includes(run)));

  function controls() {
    const smoothing = document.getElementById("smoothing");
    const output = document.getElementById("smoothing-value");
    const log = document.getElementById("log-scale");
    document.getElementById("controls").hidden = false;
    document.querySelector(".hint").hidden = false;
    smoothing.value = state.smoothing;
    output.textContent = state.smoothing;
    log.checked = state.log;
    smoothing.oninput = () => {
      state.smoothing = Number(smoothing.value);
      output.textContent = smoothing.value;
      every(update);
    };
    log.onchange = () => {
      state.log = log.checked;
      every((key) => create(plots.get(key).figure)); // a scale keeps its kind
    };
    const units = ["epoch", "iteration"];
    document.getElementById("zoom-in").onclick = () => units.forEach((unit) => move(unit, 0.5, 0));
    document.getElementById("zoom-out").onclick = () => units.forEach((unit) => move(unit, 2, 0));
    document.getElementById("reset").onclick = () => units.forEach((unit) => zoom(unit, null));
    for (const button of document.querySelectorAll(".legend button")) {
      const run = facts.runs[button.dataset.run];
      press(run, button);
      button.onclick = () => hide(run, button);
    }
  }

  // A plot is made when it comes near the screen, which opens a long page at once.
  function observe() {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        observer.unobserve(entry.target);
        create(entry.target);
      }
      // uPlot draws at the end of the task, thus before the next frame.
      requestAnimationFrame(() => performance.mark("engine-report-drawn"));
    }, { rootMargin: "300px" });
    document.querySelectorAll(".panel").forEach((figure) => observer.observe(figure));
  }

  function follow() {
    let waiting = 0;
    addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => every((key) => {
        const { plot, figure } = plots.get(key);
        plot.setSize({ width: figure.querySelector(".plot").clientWidth, height: HEIGHT });
      }), 100);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => every((key) => create(plots.get(key).figure)));
    if (!facts.refresh) return;
    let dragging = false;
    addEventListener("mousedown", () => (dragging = true), true);
    addEventListener("mouseup", () => (dragging = false), true);
    setInterval(() => dragging || document.hidden || location.reload(), facts.refresh * 1000);
  }

  controls();
  observe();
  follow();
  window.engineReport = { plots, state, zoom };
})();
