// What is drawn: curves, how sure the head is, who is taken for whom.
(() => {
  "use strict";
  const { TEXT, argmax, drawn, element } = Teach;
  const WIDTH = 320;
  const HEIGHT = 150;
  const BINS = 40;
  const color = (k) => `var(--class-${k})`;

  function figure(title, alt, ...parts) {
    const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": alt }, ...parts);
    return element("figure", {}, element("figcaption", {}, title), svg);
  }

  function text(x, y, words, attributes = {}) {
    return drawn("text", { x, y, ...attributes }, words);
  }

  // Accuracy and loss by step; dashed on the held-out pictures.
  function curve(points) {
    const [left, right, top, bottom] = [36, 296, 8, 112];
    const last = points.at(-1);
    const losses = points.flatMap(({ loss, heldLoss }) => [loss, heldLoss]).filter(Number.isFinite);
    const most = Math.max(0.7, ...losses.slice(0, 1), Math.min(5, Math.max(...losses)));
    const x = ({ step }) => left + ((right - left) * step) / Math.max(1, last.step);
    const y = (share) => bottom - (bottom - top) * Math.min(1, share);
    const line = (name, scale, kind) => {
      const found = points.filter((point) => Number.isFinite(point[name]));
      const path = found.map((point) => `${x(point).toFixed(1)} ${y(point[name] / scale).toFixed(1)}`);
      return drawn("polyline", { points: path.join(" "), class: kind });
    };
    const axis = drawn("path", { d: `M${left} ${top}V${bottom}H${right}`, class: "axis" });
    return figure(
      TEXT.curve,
      TEXT.curveAlt(points.findLast((point) => point.held)),
      axis,
      text(left - 4, top + 4, TEXT.all, { "text-anchor": "end", class: "accuracy" }),
      text(left - 4, bottom + 4, "0", { "text-anchor": "end" }),
      text(right + 4, top + 4, most.toFixed(1), { class: "loss" }),
      text(right, bottom + 14, `${TEXT.step} ${last.step}`, { "text-anchor": "end" }),
      line("loss", most, "loss"),
      line("heldLoss", most, "loss held"),
      line("right", 1, "accuracy"),
      line("heldRight", 1, "accuracy held"),
      drawn("text", { x: left, y: HEIGHT - 6 },
        drawn("tspan", { class: "accuracy" }, TEXT.accuracy), " · ",
        drawn("tspan", { class: "loss" }, TEXT.loss), ` · ${TEXT.dashed}`),
    );
  }

  // A point for each held-out picture, from left to right by probability: of the second class where
  // there are two, or else of its own.
  function sureness(probabilities, labels, names) {
    const two = names.length === 2;
    const heights = new Array(BINS).fill(0);
    const points = probabilities.map((p, i) => {
      const bin = Math.min(BINS - 1, Math.floor(BINS * p[two ? 1 : labels[i]]));
      return { bin, level: heights[bin]++, label: labels[i] };
    });
    const step = Math.min(5.5, 108 / Math.max(1, ...heights));
    const right = probabilities.filter((p, i) => argmax(p) === labels[i]).length;
    return figure(
      TEXT.sure,
      TEXT.sureAlt(right, labels.length),
      ...points.map(({ bin, level, label }) =>
        drawn("circle", {
          cx: 8 + (bin * (WIDTH - 16)) / (BINS - 1), cy: 120 - level * step,
          r: Math.min(2.7, step / 2 + 0.6), fill: color(label),
        })),
      drawn("path", { d: `M4 125H${WIDTH - 4}${two ? `M${WIDTH / 2} 125V8` : ""}`, class: "axis" }),
      text(4, HEIGHT - 6, two ? TEXT.surelyClass(TEXT.short(names[0])) : TEXT.surelyWrong),
      text(WIDTH - 4, HEIGHT - 6, two ? TEXT.surelyClass(TEXT.short(names[1])) : TEXT.surelyRight, { "text-anchor": "end" }),
    );
  }

  // Rows: what pictures are; columns: what the head says.
  function confusion(probabilities, labels, names) {
    const counts = names.map(() => names.map(() => 0));
    probabilities.forEach((p, i) => (counts[labels[i]][argmax(p)] += 1));
    const cell = (n, k, j) =>
      element("td", {
        className: k === j ? "right" : "",
        style: { "--share": `${Math.round((35 * n) / Math.max(1, ...counts[k]))}%`, "--color": color(k) },
      }, String(n));
    const head = names.map((name) => element("th", { scope: "col" }, TEXT.short(name)));
    const rows = counts.map((row, k) =>
      element("tr", {}, element("th", { scope: "row" }, TEXT.short(names[k])), ...row.map((n, j) => cell(n, k, j))),
    );
    const table = element("table", {},
      element("thead", {}, element("tr", {}, element("td"), ...head)), element("tbody", {}, ...rows));
    return element("figure", {}, element("figcaption", {}, TEXT.confusion), table);
  }

  // A bar for each class.
  function bars(probabilities, names) {
    return names.map((name, k) =>
      element("div", { className: "bar" }, element("span", {}, name),
        element("i", { style: { "--share": `${100 * probabilities[k]}%`, "--color": color(k) } }),
        element("span", {}, Teach.percent(probabilities[k]))));
  }

  Object.assign(Teach, { color, curve, sureness, confusion, bars });
})();
