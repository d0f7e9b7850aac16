// The parts of the page, empty. The files after this one fill them.
(() => {
  "use strict";
  const { TEXT, element } = Teach;

  // A slider; `text` writes its value beside it.
  function slider(label, { min, max, step, value }, text) {
    const beside = element("b", { aria: { hidden: true } }); // an <output> would take the label
    const input = element("input", { type: "range", min, max, step, value });
    const show = () => {
      beside.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", beside.textContent);
    };
    input.addEventListener("input", show);
    show();
    const set = (wanted) => ((input.value = wanted), show());
    const reset = () => set(value);
    return { input, show, set, reset, line: element("label", { className: "slider" }, element("span", {}, label), beside, input) };
  }

  function tick(label) {
    const input = element("input", { type: "checkbox" });
    return { input, line: element("label", { className: "tick" }, input, ` ${label}`) };
  }

  // One of several, as buttons in a row; `options` are texts by value.
  function choice(label, options, chosen) {
    const name = `teach-${label}`;
    const inputs = Object.entries(options).map(([value, text]) => {
      const input = element("input", { type: "radio", name, value, checked: value === chosen });
      return [input, element("label", {}, input, element("span", {}, text))];
    });
    const group = element("fieldset", {}, element("legend", {}, label), ...inputs.map(([, line]) => line));
    const set = (value) => inputs.forEach(([input]) => (input.checked = input.value === value));
    return { group, set };
  }

  function panel(k, ...children) {
    const title = element("h2", { id: `teach-part-${k + 1}` }, TEXT.parts[k]);
    return element("section", { className: "panel", aria: { labelledby: title.id } }, title, ...children);
  }

  const percentOf = (value) => Teach.percent(value / 100);
  const power = (value) => Number((10 ** value).toPrecision(2)).toString();

  // Build everything below `root`, and return what is to be filled and read.
  function build(root) {
    const part = {
      source: choice(TEXT.source, { book: TEXT.book, lit: TEXT.lit, own: TEXT.own }, "book"),
      size: choice(TEXT.size, TEXT.sizes, "160"),
      swap: tick(TEXT.swap),
      status: element("p", { className: "status", role: "status" }),
      counter: element("p", { className: "soft" }), // not read aloud: it changes with each picture
      progress: element("progress", { hidden: true, aria: { label: TEXT.progress } }),
      cancel: element("button", { type: "button", hidden: true }, TEXT.cancel),
      problems: element("div"),
      classes: element("div", { className: "side" }),
      stopCamera: element("button", { type: "button", hidden: true }, TEXT.stopCamera),
      addClass: element("button", { type: "button", hidden: true }, TEXT.addClass),
      video: element("video", { muted: true, playsInline: true, hidden: true }),

      labeled: slider(TEXT.labeled, { min: 1, max: 1, step: 1, value: 1 }, String),
      rate: slider(TEXT.rate, { min: -4, max: 1, step: 0.05, value: -2 }, power),
      steps: slider(TEXT.steps, { min: 0, max: 400, step: 5, value: 200 }, String),
      decay: slider(TEXT.decay, { min: -5, max: 1, step: 0.1, value: -3 }, (v) => (v > -5 ? power(v) : "0")),
      shuffle: tick(TEXT.shuffle),
      draw: element("button", { type: "button" }, TEXT.draw),
      reset: element("button", { type: "button" }, TEXT.reset),
      controls: element("div"),
      took: element("p", { className: "soft" }),
      accuracy: element("p", { className: "large" }),
      interval: element("p", { className: "soft" }),
      learned: element("p", { className: "soft" }),
      draws: element("p", { className: "soft" }),
      warning: element("p", { className: "warning" }),
      curve: element("div"),
      sure: element("div"),
      confusion: element("div"),

      seen: element("canvas", { width: 288, height: 288, role: "img", hidden: true }),
      look: element("div", { className: "look" }),
      ask: element("div", { className: "line" }),
      heat: tick(TEXT.heat),
      threshold: slider(TEXT.threshold, { min: 0, max: 99.9, step: 0.1, value: 0 }, percentOf),
      coverage: element("p", { className: "soft" }),
      strangers: element("div", { className: "thumbs" }),
      answer: element("p", { className: "answer", role: "status", tabIndex: -1 }),
      bars: element("div"),
      votes: element("p", { className: "soft" }),
      nearest: element("div", { className: "thumbs" }),
      nearestTitle: element("p", { className: "soft", hidden: true }, TEXT.nearest),

      mistakes: element("div", { className: "thumbs" }),
      mistakesTitle: element("p", { className: "soft" }),

      save: element("button", { type: "button" }, TEXT.save),
      keep: element("div", { className: "line" }),
      kept: element("p", { className: "status", role: "status" }),
    };
    part.heat.input.checked = true;
    part.look.append(element("span", {}, TEXT.askHere), part.seen);
    part.keep.append(part.save);
    part.controls.append(
      ...["labeled", "rate", "steps", "decay"].map((name) => part[name].line), part.shuffle.line,
      element("div", { className: "line" }, part.draw, part.reset), part.took,
    );
    root.append(
      panel(0, part.source.group, part.size.group, part.swap.line, part.status,
        part.counter, element("div", { className: "line" }, part.progress, part.cancel), part.problems,
        part.classes, part.video, element("div", { className: "line" }, part.stopCamera, part.addClass)),
      panel(1, element("div", { className: "side" }, part.controls,
        element("div", {},
          element("div", { role: "status" }, part.accuracy, part.interval, part.learned, part.warning), part.draws,
          part.confusion),
        part.curve, part.sure)),
      panel(2, element("div", { className: "side" },
        element("div", {}, part.look, part.ask, part.heat.line),
        element("div", {}, part.answer, part.bars, part.votes, part.nearestTitle, part.nearest),
        element("div", {}, element("p", { className: "soft" }, TEXT.strangers), part.strangers),
        element("div", {}, part.threshold.line, part.coverage))),
      panel(3, part.mistakesTitle, part.mistakes),
      panel(4, part.keep, part.kept),
    );
    return part;
  }

  Object.assign(Teach, { build });
})();
