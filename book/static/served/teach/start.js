// The beginning: the experiments of the page, and what each slider and button does.
(() => {
  "use strict";
  const {
    MOVED, TEXT, ask, chooser, drawCards, element, fail, loadHead, part, relight, resize, retrain, saveHead,
    say, showAnswer, showCoverage, showNothing, state, stop, stopCamera, strangers, take, takeDrops,
    use, useAll, addClass,
  } = Teach;

  // ---- the experiments ---------------------------------------------------------------------------

  async function move(values) {
    say("");
    state.draws = [];
    for (const name of MOVED) {
      if (name in values) part[name].set(values[name]);
      else if (name === "labeled") useAll();
      else part[name].reset();
    }
    part.shuffle.input.checked = values.shuffle ?? false;
    state.seed = 1;
    drawCards();
    await retrain();
  }

  // Each returns whether it is set up.
  const after = async (source, values) => (await use(source)) && (await move(values), true);
  const EXPERIMENTS = {
    few: () => after("book", { labeled: 1 }),
    shuffled: () => after("book", { shuffle: true }),
    background: () => after("lit", {}),
    stranger: async () => (await after("book", {})) && (await ask(strangers[0]), state.asked !== null),
    own: () => use("own"),
  };

  // Give each experiment of the page a button.
  function addButtons() {
    for (const box of document.querySelectorAll("[class*='experiment-']")) {
      const [, name] = box.className.match(/experiment-(\w+)/);
      const title = box.querySelector(".admonition-title").textContent;
      const button = element("button", { type: "button", className: "set-up" }, TEXT.setUp);
      button.addEventListener("click", async () => {
        document.querySelector("#teach").scrollIntoView();
        if (!(await EXPERIMENTS[name]().catch(fail))) return;
        const back = element("a", { href: `#${box.id}` }, TEXT.back);
        part.status.replaceChildren(`${TEXT.isSetUp(title)} `, back);
      });
      box.querySelector("details").before(element("p", {}, button)); // which says what to see
    }
  }

  // ---- the beginning -----------------------------------------------------------------------------

  function listen() {
    const on = (target, name, act) => target.addEventListener(name, act);
    on(part.source.group, "change", ({ target }) => use(target.value));
    on(part.size.group, "change", ({ target }) => resize(Number(target.value)));
    on(part.swap.input, "change", ({ target }) => relight(target.checked));
    on(part.cancel, "click", stop);
    on(part.stopCamera, "click", stopCamera);
    on(part.addClass, "click", addClass);
    const sliders = MOVED.map((name) => part[name].input);
    for (const input of [...sliders, part.shuffle.input]) on(input, "input", () => (state.draws = []));
    for (const name of MOVED) on(part[name].input, "input", retrain);
    on(part.labeled.input, "input", drawCards);
    on(part.shuffle.input, "change", retrain);
    on(part.draw, "click", () => {
      if (state.result) state.draws.push(state.result.points.at(-1).heldRight);
      state.seed += 1;
      drawCards();
      retrain();
    });
    on(part.reset, "click", () => move({}));
    for (const { input } of [part.heat, part.threshold]) on(input, "input", () => state.asked && showAnswer());
    on(part.threshold.input, "input", () => state.result && showCoverage());
    on(part.save, "click", saveHead);
    const askFiles = ([file]) => file && ask({ file, name: file.name });
    part.ask.append(chooser(TEXT.ask, askFiles));
    takeDrops(part.look, askFiles);
    part.keep.append(chooser(TEXT.load, ([file]) => loadHead(file), { accept: ".safetensors" }));
    for (const name of ["dragover", "drop"]) on(document, name, (event) => event.preventDefault()); // beside
    on(document, "paste", ({ clipboardData }) => {
      const files = [...clipboardData.files];
      const label = document.activeElement?.closest(".category[data-label]")?.dataset.label;
      if (label === undefined) askFiles(files);
      else take(state.classes[label], files);
    });
  }

  listen();
  addButtons();
  showNothing("");
  use("book").catch(fail);
})();
