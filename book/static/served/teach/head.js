// The head: trained anew whenever something changes, and what it says of the held-out pictures.
(() => {
  "use strict";
  const {
    SHOWN, TEXT, asButton, breather, featuresOf, names, part, percent, refill, showAnswer, state,
  } = Teach;
  const FEW = 30; // held-out pictures; with fewer, one more mistake is much

  // The pictures to learn from: so many of each class, which the draw decides.
  function chosen() {
    const most = Number(part.labeled.input.value);
    const drawn = state.classes.flatMap((_, label) => {
      const mine = state.pictures.filter((picture) => picture.label === label && !picture.held);
      return Teach.shuffled(mine, state.seed).slice(0, most);
    });
    const some = new Set(drawn);
    return state.pictures.filter((picture) => some.has(picture)); // in their own order
  }

  const settings = () => ({
    lr: 10 ** Number(part.rate.input.value),
    steps: Number(part.steps.input.value),
    decay: part.decay.input.value > -5 ? 10 ** Number(part.decay.input.value) : 0,
  });

  // These columns of some rows.
  async function cut(rows, places, breathe) {
    const some = [];
    for (const row of rows) {
      const short = new Float64Array(places.length);
      for (let i = 0; i < places.length; i++) short[i] = row[places[i]];
      some.push(short);
      await breathe();
    }
    return some;
  }

  // Train anew, in slices between which the page lives; a later call ends an earlier one.
  async function retrain() {
    const { table, classes } = state;
    const mine = (state.run = {});
    if (!table) return;
    const learned = chosen();
    if (classes.some((_, k) => !learned.some(({ label }) => label === k))) {
      return showNothing(state.given ? TEXT.given : TEXT.needs);
    }

    const breathe = breather();
    const places = learned.map((picture) => table.places.get(picture));
    const all = places.length === table.places.size;
    const rows = places.map((i) => table.own[i]);
    const labels = learned.map(({ label }) => label);
    const options = settings();
    const training = Teach.train({
      own: all ? rows : await cut(rows, places, breathe),
      held: all ? table.heldRows : await cut(table.heldRows, places, breathe),
      labels: part.shuffle.input.checked ? Teach.shuffled(labels, state.seed) : labels,
      heldLabels: table.held.map(({ label }) => label),
      numClasses: classes.length,
      ...options,
    });
    const points = [];
    let [spent, start] = [0, performance.now()];
    let last;
    for (last of training) {
      if (last.point.held) points.push(last.point);
      if (!Number.isFinite(last.point.loss)) return state.run === mine && showNothing(TEXT.overflow);
      spent += performance.now() - start;
      await breathe();
      if (state.run !== mine) return;
      start = performance.now();
    }
    state.head = Teach.toHead(last, learned.map(featuresOf));
    state.result = { points, learned, held: table.held };
    part.took.textContent = TEXT.took(options.steps, learned.length, spent);
    showResult();
    if (state.asked) showAnswer();
  }

  function showNothing(why) {
    state.head = state.given;
    state.result = null;
    part.accuracy.textContent = state.given ? "" : "–";
    part.warning.textContent = why;
    for (const name of ["interval", "took", "mistakesTitle", "learned", "draws", "coverage"]) part[name].textContent = "";
    for (const name of ["curve", "sure", "confusion"]) part[name].replaceChildren();
    refill(part.mistakes, []);
    part.save.disabled = true;
    if (state.asked) showAnswer();
  }

  function showResult() {
    const { points, learned, held } = state.result;
    const { right, heldRight, held: probabilities } = points.at(-1);
    const labels = held.map(({ label }) => label);
    const warnings = [];
    part.save.disabled = false;
    if (held.length) {
      const [low, high] = Teach.wilson(heldRight, held.length);
      part.accuracy.textContent = percent(heldRight);
      part.interval.textContent = TEXT.interval(held.length, low, high);
      if (held.length < FEW) warnings.push(TEXT.few(held.length));
    } else {
      part.accuracy.textContent = "–";
      part.interval.textContent = TEXT.noHeldOut;
    }
    part.learned.textContent = TEXT.onTraining(right);
    part.draws.textContent = state.draws.length ? TEXT.draws(state.draws) : "";
    showCoverage();
    if (learned.length < 5 * state.classes.length) warnings.push(TEXT.fewLearn);
    part.warning.textContent = warnings.join(" ");
    part.curve.replaceChildren(Teach.curve(points));
    part.sure.replaceChildren(Teach.sureness(probabilities, labels, names()));
    part.confusion.replaceChildren(Teach.confusion(probabilities, labels, names()));

    const wrong = held
      .map((picture, i) => ({ picture, p: probabilities[i], said: Teach.argmax(probabilities[i]) }))
      .filter(({ picture, said }) => said !== picture.label)
      .sort((a, b) => b.p[b.said] - a.p[a.said]);
    part.mistakesTitle.textContent = held.length ? TEXT.mistakes(wrong.length) : "";
    refill(part.mistakes, wrong.slice(0, SHOWN).map(({ picture, p, said }) =>
      asButton(picture, TEXT.mistake(names()[picture.label], names()[said], p[said]))), part.answer);
  }

  // How many held-out pictures it answers for with the threshold, and how many of these are right.
  function showCoverage() {
    const { points, held } = state.result;
    const least = Number(part.threshold.input.value) / 100;
    const sure = points.at(-1).held.flatMap((p, i) => (Math.max(...p) >= least ? [[p, held[i].label]] : []));
    const right = sure.filter(([p, label]) => Teach.argmax(p) === label);
    part.coverage.textContent = held.length ? TEXT.coverage(sure.length, held.length, right.length) : "";
  }

  Object.assign(Teach, { chosen, retrain, showCoverage, showNothing, showResult });
})();
