// The page: what is chosen, moved and asked, and what that shows. The numbers come from the other
// files.
(() => {
  "use strict";
  const { TEXT, breather, chooser, color, element, pause, percent, takeDrops } = Teach;
  const BACKBONE = "tf_efficientnet_lite0"; // as timm names it
  const FORMAT = "transfer-learning-hands-on 1"; // of the file to take away
  const SIZE = 160;
  const LIT = 20; // pictures of each class in colored light, of either part
  const LIGHTS = [[0, 114, 178], [213, 94, 0]]; // of each class
  const LIGHT = 0.7; // the share of it
  const MOST_CLASSES = 5;
  const MOST_PICTURES = 1500;
  const SHOWN = 24; // small pictures in a row of them
  const FEW = 30; // held-out pictures; with fewer, one more mistake is much
  const NEAREST = 6;
  const PHOTOS = 8; // of the camera
  const MOVED = ["labeled", "rate", "steps", "decay"]; // the sliders of the head

  /* A class is `{ name }`. A picture: `file` (a Blob, or null where only features were loaded),
     `name`, `label` (the index of its class), `held` (out, of training), `url` (of a small picture)
     and `features`, by size. What is shown changes at once, in `show`, so that pictures, size and
     `table` (the products of all features, which training needs) always fit together. */
  const state = {
    source: "book", classes: TEXT.classNames.map((name) => ({ name })), pictures: [], size: SIZE,
    table: null, seed: 1, draws: [], // what the draws before gave
    head: null, result: null, asked: null, run: null, // the last training run that was begun
  };
  const own = { source: "own", classes: TEXT.ownNames.slice(0, 2).map((name) => ({ name })), pictures: [], size: SIZE };
  let part; // of the page
  let book = null; // a promise of its pictures
  let strangers = []; // pictures of none of the classes

  const names = () => state.classes.map(({ name }) => name);
  const featuresOf = (picture) => picture.features[state.size];
  const say = (text) => (part.status.textContent = text);
  const sayKept = (text) => (part.kept.textContent = text);
  const fail = (error) => say(error.message || TEXT.failed(error));

  // Fill an element anew. Whoever was in it by keyboard stays where they were, or goes to `other`.
  function refill(target, children, other = null) {
    const active = document.activeElement;
    const key = target.contains(active) ? active.dataset.key : undefined;
    target.replaceChildren(...children);
    if (key === undefined) return;
    const same = [...target.querySelectorAll("[data-key]")].find(({ dataset }) => dataset.key === key);
    (same ?? other)?.focus();
  }

  // ---- looking at pictures -----------------------------------------------------------------------

  let loading = null; // the backbone, once somebody wants it
  const loadBackbone = () =>
    (loading ??= Teach.loadBackbone((text) => (part.counter.textContent = text))
      .catch((error) => {
        loading = null; // it can be tried again
        throw error;
      })
      .finally(() => (part.counter.textContent = "")));

  // All that the network sees in a file. `alter` may change its pixels before.
  async function examine(file, size, alter = (rgb) => rgb) {
    const backbone = await loadBackbone();
    const rgb = alter(await Teach.look(file, size));
    return { rgb, size, ...(await backbone.run(Teach.normalize(rgb), size)) };
  }

  async function thumbnail(rgb, size) {
    const canvas = Teach.paint(new OffscreenCanvas(size, size), rgb, size);
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp" }));
  }

  /* What changes the pictures is done one after the other. `job` is what is being done; it can be
     stopped, by its button or by who wants other pictures. */
  let queue = Promise.resolve();
  let job = { stopped: false };
  const stop = () => (job.stopped = true);
  let waiting = 0; // what is in the queue, with what is being done
  function inTurn(act) {
    waiting += 1;
    return (queue = queue.then(act).catch(fail).finally(() => (waiting -= 1)));
  }

  // Do something with each of many, with a bar, until all are done or somebody stops it. Files that
  // can't be used are named. Returns whether it came to its end.
  async function forEach(items, nameOf, act) {
    if (items.length === 0) return true;
    const mine = (job = { stopped: false });
    const problems = [];
    let done = 0;
    say("");
    if (waiting <= 1) part.problems.replaceChildren(); // else what was said there still holds
    Object.assign(part.progress, { hidden: false, max: items.length, value: 0 });
    part.cancel.hidden = false;
    try {
      await loadBackbone();
      const start = performance.now();
      for (const item of items) {
        if (mine.stopped) break;
        part.counter.textContent = TEXT.looking(done + 1, items.length);
        await pause();
        try {
          await act(item);
        } catch (error) {
          problems.push(`${nameOf(item)}: ${error.message}`);
        }
        part.progress.value = done += 1;
      }
      const left = items.length - done;
      if (done) say(TEXT.looked(done, performance.now() - start));
      if (left) part.problems.append(element("p", { role: "alert" }, TEXT.stopped(left)));
      if (problems.length) {
        part.problems.append(
          element("p", { role: "alert" }, TEXT.refused(problems.length)),
          element("ul", {}, ...problems.map((text) => element("li", {}, text))),
        );
      }
      return left === 0;
    } finally {
      part.progress.hidden = part.cancel.hidden = true;
      part.counter.textContent = "";
    }
  }

  // ---- where pictures come from ------------------------------------------------------------------

  // The book's pictures and their features, as they were packed.
  async function loadBook() {
    await Teach.script("data/book.js");
    const breathe = breather();
    const [bytes, halves] = [await Teach.load("pictures"), await Teach.load("features")];
    const numbers = Teach.fromHalves(halves);
    const pictures = [];
    let at = 0;
    for (const [i, { name, label, held, length }] of Teach.book.entries()) {
      const file = new Blob([bytes.subarray(at, (at += length))], { type: "image/jpeg" });
      const features = { [SIZE]: numbers.subarray(Teach.FEATURES * i, Teach.FEATURES * (i + 1)) };
      pictures.push({ file, name, label, held, url: URL.createObjectURL(file), features });
      await breathe();
    }
    strangers = pictures.filter(({ label }) => label < 0);
    part.strangers.replaceChildren(...strangers.map((picture) => asButton(picture, picture.name)));
    return pictures.filter(({ label }) => label >= 0);
  }

  // Some of them, each in a light whose color gives the class away, and in that of the other class.
  async function light() {
    const pictures = [];
    const some = [0, 1].flatMap((label) =>
      [false, true].flatMap((held) => {
        const mine = (picture) => picture.label === label && picture.held === held;
        return bookPictures.filter(mine).slice(0, LIT);
      }));
    const whole = await forEach(some, ({ name }) => name, async (picture) => {
      const faces = [];
      for (const label of [picture.label, 1 - picture.label]) {
        const seen = await examine(picture.file, SIZE, (rgb) => Teach.tint(rgb, LIGHTS[label], LIGHT));
        faces.push({ url: await thumbnail(seen.rgb, SIZE), features: { [SIZE]: seen.features }, seen });
      }
      pictures.push({ ...picture, ...faces[0], faces });
    });
    return whole ? pictures : null;
  }
  let bookPictures = [];
  let lit = null; // they are made once

  const classesOf = (texts) => texts.map((name) => ({ name }));
  const SOURCES = {
    book: () => ({ source: "book", classes: classesOf(TEXT.classNames), pictures: bookPictures, size: SIZE }),
    async lit() {
      lit ??= await light();
      return lit && { source: "lit", classes: classesOf(TEXT.classNames), pictures: lit, size: SIZE };
    },
    own: () => own,
  };

  // Show the pictures of a source; returns whether they are shown. Stops whatever else is going on.
  let wanted = null;
  async function use(source) {
    wanted = source;
    stop();
    let won = false;
    for (const quiet of [say, sayKept]) quiet("");
    part.source.set(source);
    part.threshold.reset();
    forget();
    state.table = null; // so that no slider brings back what was shown
    showNothing(TEXT.preparing);
    await inTurn(async () => {
      try {
        won = await change(source);
      } finally {
        if (wanted === source && !won) {
          await show(shown()); // it stays as it was
        }
      }
    });
    return won;
  }

  async function change(source) {
    book ??= loadBook().catch((error) => {
      book = null; // it can be tried again
      throw error;
    });
    bookPictures = await book;
    const next = wanted === source && (await SOURCES[source]());
    if (!next || wanted !== source) return false; // stopped, or somebody was faster
    swapLight(false);
    await show(next, { all: true });
    return true;
  }

  // In the light of the other class, or of their own: the held-out pictures.
  function swapLight(swapped) {
    part.swap.input.checked = swapped;
    for (const picture of lit ?? []) {
      if (picture.held) Object.assign(picture, picture.faces[swapped ? 1 : 0]);
    }
  }

  // Look at all pictures again, at another size, unless that was done before.
  const resize = (size) =>
    inTurn(async () => {
      const { pictures } = state;
      if (state.source === "lit") return; // it came first, and has one size
      const todo = pictures.filter((picture) => !picture.features[size]);
      if (todo.some(({ file }) => !file)) {
        say(TEXT.onlyFeatures);
        return part.size.set(String(state.size));
      }
      await forEach(todo, ({ name }) => name, async (picture) => {
        picture.features[size] = (await examine(picture.file, size)).features;
      });
      const whole = pictures.every((picture) => picture.features[size]);
      await show({ ...shown(), size: whole ? size : state.size });
    });

  // Take files into one of the own classes; of each class every fourth is held out.
  const take = (mine, files) =>
    inTurn(async () => {
      const taken = [];
      const label = own.classes.indexOf(mine);
      if (label < 0 || files.length === 0) return; // it was removed meanwhile
      let count = own.pictures.filter((picture) => picture.label === label).length;
      await forEach(files, (file) => file.name ?? TEXT.camera, async (file) => {
        if (own.pictures.length + taken.length >= MOST_PICTURES) throw new Error(TEXT.tooMany(MOST_PICTURES));
        const { rgb, size, features } = await examine(file, own.size);
        const same = (picture) => picture.features[size]?.every((value, c) => value === features[c]);
        const other = [...own.pictures, ...taken].find(same);
        if (other) throw new Error(TEXT.twice(other.name)); // else it could be learned and held out
        taken.push({
          file, label, name: file.name ?? TEXT.photo(count + 1), held: count % 4 === 3,
          url: await thumbnail(rgb, size), features: { [size]: features },
        });
        count += 1;
      });
      own.pictures = [...own.pictures, ...taken];
      if (state.source === "own") await show(own);
    });

  const addClass = () =>
    inTurn(async () => {
      const name = TEXT.ownNames.find((text) => !own.classes.some((mine) => mine.name === text));
      own.classes = [...own.classes, { name: name ?? "" }];
      await show(own);
    });

  const removeClass = (mine) =>
    inTurn(async () => {
      const label = own.classes.indexOf(mine);
      for (const { url } of own.pictures.filter((picture) => picture.label === label)) URL.revokeObjectURL(url);
      own.classes = own.classes.filter((other) => other !== mine);
      own.pictures = own.pictures.filter((picture) => picture.label !== label);
      for (const picture of own.pictures) picture.label -= picture.label > label ? 1 : 0;
      await show(own);
    });

  // Photos from the camera, until there are eight or somebody stops it.
  let filming = false;
  async function photograph(mine) {
    if (filming) return;
    filming = true;
    const photos = [];
    let stream = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 320 } });
      part.video.srcObject = stream;
      part.video.hidden = part.stopCamera.hidden = false;
      await part.video.play();
      while (filming && photos.length < PHOTOS) {
        const canvas = new OffscreenCanvas(part.video.videoWidth, part.video.videoHeight);
        canvas.getContext("2d").drawImage(part.video, 0, 0);
        photos.push(await canvas.convertToBlob({ type: "image/png" }));
        await new Promise((done) => setTimeout(done, 300));
      }
    } catch (error) {
      say(TEXT.cameraFailed(error.name));
    } finally {
      stream?.getTracks().forEach((track) => track.stop());
      part.video.hidden = part.stopCamera.hidden = true;
      filming = false;
    }
    await take(mine, photos);
  }

  // ---- what is shown -----------------------------------------------------------------------------

  // Other pictures, or the same with other features: all that depends on them anew. `all`: learn from
  // as many as there are.
  async function show(next, { all = false } = {}) {
    const { pictures, size, classes } = next;
    const breathe = breather();
    const train = pictures.filter(({ held }) => !held);
    const held = pictures.filter((picture) => picture.held);
    const [columns, rows] = [train, held].map((some) => some.map(({ features }) => features[size]));
    const table = {
      held,
      places: new Map(train.map((picture, i) => [picture, i])),
      own: await Teach.products(columns, columns, breathe),
      heldRows: await Teach.products(rows, columns, breathe),
    };
    forget();
    Object.assign(state, next, { table, draws: [] });
    part.source.set(next.source);
    if (next.source === "own") Object.assign(own, { classes, pictures, size });

    const isOwn = state.source === "own";
    part.size.set(String(size));
    part.size.group.hidden = state.source === "lit";
    part.swap.line.hidden = state.source !== "lit";
    part.addClass.hidden = !isOwn || classes.length >= MOST_CLASSES;
    const each = classes.map((_, k) => train.filter(({ label }) => label === k).length);
    const { input } = part.labeled;
    const wereAll = all || input.value === input.max;
    input.max = Math.max(1, ...each);
    if (wereAll) useAll();
    part.labeled.show();
    drawCards();
    await retrain();
  }

  const shown = () => {
    const { source, classes, pictures, size } = state;
    return { source, classes, pictures, size };
  };

  const useAll = () => part.labeled.set(part.labeled.input.max);

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

  // A small picture as a button that asks about it.
  function asButton(picture, text, spoken = text) {
    const image = picture.url
      ? element("img", { src: picture.url, alt: "" })
      : element("span", { className: "blank" }, "?");
    return element("button", {
      type: "button", className: "thumb", disabled: !picture.file, data: { key: picture.name },
      aria: { label: TEXT.askAbout(spoken) }, onclick: () => ask(picture),
    }, image, element("span", {}, text));
  }

  function card(mine, label, learned) {
    const { name } = mine;
    const all = state.pictures.filter((picture) => picture.label === label);
    const held = all.filter((picture) => picture.held).length;
    const shown = learned.filter((picture) => picture.label === label);
    const isOwn = state.source === "own";
    const title = isOwn
      ? element("input", {
          value: name, maxLength: 40, data: { key: `name ${label}` }, aria: { label: TEXT.className(label) },
          oninput: ({ target }) => rename(mine, target.value),
        })
      : element("b", {}, name);
    const out = state.source === "lit" ? all.filter((picture) => picture.held) : [];
    const made = element("div", { className: "category", style: { "--color": color(label) } },
      element("div", { className: "line" }, element("i", { className: "dot" }), title,
        element("span", { className: "soft" }, TEXT.counts(all.length - held, held))),
      element("div", { className: "thumbs small" },
        ...shown.slice(0, SHOWN).map((picture) => asButton(picture, "", picture.name)),
        shown.length > SHOWN ? element("span", { className: "soft" }, TEXT.more(shown.length - SHOWN)) : null),
      element("div", { className: "thumbs small out" },
        ...out.map((picture) => asButton(picture, "", picture.name))));
    if (!isOwn) return made;
    const buttons = [chooser(TEXT.addPictures, (files) => take(mine, files), {
      label: TEXT.addPicturesTo(name), multiple: true, key: `add ${label}`,
    })];
    if (navigator.mediaDevices) {
      buttons.push(element("button", {
        type: "button", data: { key: `camera ${label}` }, aria: { label: TEXT.cameraFor(name) },
        onclick: () => photograph(mine),
      }, TEXT.camera));
    }
    if (state.classes.length > 2) {
      buttons.push(element("button", {
        type: "button", data: { key: `remove ${label}` }, aria: { label: TEXT.removeClass(name) },
        onclick: () => removeClass(mine),
      }, "×"));
    }
    made.append(element("p", { className: "soft" }, TEXT.dropHere), element("div", { className: "line" }, ...buttons));
    made.dataset.label = label;
    takeDrops(made, (files) => take(mine, files));
    return made;
  }

  function drawCards() {
    const learned = chosen();
    refill(part.classes, state.classes.map((mine, label) => card(mine, label, learned)), part.addClass);
  }

  // The cards stay, so that one can go on typing.
  function rename(mine, name) {
    mine.name = name;
    if (state.result) showResult();
    if (state.asked) showAnswer();
  }

  // ---- the head ----------------------------------------------------------------------------------

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
    if (classes.some((_, k) => !learned.some(({ label }) => label === k))) return showNothing(TEXT.needs);

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
    state.head = state.result = null;
    part.accuracy.textContent = "–";
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

  // ---- asking ------------------------------------------------------------------------------------

  let question = null; // the last one

  async function ask(picture) {
    forget();
    const mine = (question = {});
    try {
      const seen = picture.seen ?? (await examine(picture.file, state.size));
      if (question !== mine) return; // another was asked meanwhile
      state.asked = { picture, ...seen };
      showAnswer();
      part.look.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (question === mine) part.answer.textContent = `${picture.name}: ${error.message}`;
    }
  }

  // Other pictures, another size, another question: what was asked before is of no use.
  function forget() {
    state.asked = question = null;
    part.seen.hidden = part.nearestTitle.hidden = true;
    part.answer.textContent = part.votes.textContent = "";
    part.bars.replaceChildren();
    refill(part.nearest, [], part.answer);
  }

  function showAnswer() {
    const { asked, head } = state;
    part.seen.hidden = false;
    Teach.paint(part.seen, asked.rgb, asked.size);
    if (!head) {
      part.answer.textContent = TEXT.untrained;
      part.votes.textContent = "";
      part.nearestTitle.hidden = true;
      part.bars.replaceChildren();
      return refill(part.nearest, [], part.answer);
    }
    const p = Teach.predict(head, asked.features);
    const k = Teach.argmax(p);
    const votes = Teach.vote(head, asked.map, k);
    const yes = votes.cells.filter((value) => value > 0).length;
    const sure = p[k] >= Number(part.threshold.input.value) / 100;
    const answer = (sure ? TEXT.answer : TEXT.neither)(names()[k], p[k]);
    if (part.heat.input.checked) paintVotes(votes.cells, asked.side, k);
    part.seen.setAttribute("aria-label", TEXT.seenAlt(answer, yes, votes.cells.length));
    if (part.answer.textContent !== answer) part.answer.textContent = answer; // it is read aloud
    part.bars.replaceChildren(...Teach.bars(p, names()));
    const others = p.length === 2 ? TEXT.other(names()[1 - k]) : TEXT.others;
    part.votes.textContent = TEXT.votes(
      asked.side, yes, names()[k], votes.mean, votes.bias, votes.logit, others,
    );
    const near = state.result.learned
      .filter((picture) => picture !== asked.picture)
      .map((picture) => ({ picture, close: Teach.cosine(featuresOf(picture), asked.features) }))
      .sort((a, b) => b.close - a.close);
    part.nearestTitle.hidden = false;
    refill(part.nearest, near.slice(0, NEAREST).map(({ picture, close }) =>
      asButton(picture, `${names()[picture.label]} ${close.toFixed(2)}`)), part.answer);
  }

  // Lay the votes over the picture: in the color of the class, or of the other one where against it.
  function paintVotes(cells, side, k) {
    const most = Math.max(...cells.map(Math.abs));
    const small = new OffscreenCanvas(side, side);
    const image = new ImageData(side, side);
    const rgb = (name) => {
      part.look.style.setProperty("outline-color", name);
      return getComputedStyle(part.look).outlineColor.match(/[\d.]+/g).map(Number).slice(0, 3);
    };
    const [forIt, against] = [rgb(color(k)), rgb(state.classes.length === 2 ? color(1 - k) : "gray")];
    cells.forEach((value, i) => {
      image.data.set([...(value > 0 ? forIt : against), (190 * Math.abs(value)) / most], 4 * i);
    });
    small.getContext("2d").putImageData(image, 0, 0);
    const context = part.seen.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, part.seen.width, part.seen.height);
  }

  // ---- taking it away ----------------------------------------------------------------------------

  function save() {
    const { head, pictures, classes, size, seed } = state;
    const wide = Teach.FEATURES;
    const rows = (list) => {
      const values = new Float32Array(wide * list.length);
      list.forEach((row, i) => values.set(row, wide * i));
      return { type: "F32", shape: [list.length, wide], values };
    };
    const numbers = (list) => ({ type: "I64", shape: [list.length], values: list.map(BigInt) });
    const tensors = {
      "head.weight": rows(head.weight),
      "head.bias": { type: "F32", shape: [classes.length], values: head.bias },
      features: rows(pictures.map(featuresOf)),
      labels: numbers(pictures.map(({ label }) => label)),
      held: numbers(pictures.map(({ held }) => held)),
    };
    const moved = Object.fromEntries(MOVED.map((name) => [name, Number(part[name].input.value)]));
    const notes = {
      format: FORMAT, backbone: BACKBONE, size: String(size), classes: JSON.stringify(names()),
      files: JSON.stringify(pictures.map(({ name }) => name)),
      settings: JSON.stringify({ ...moved, shuffle: part.shuffle.input.checked, seed }),
    };
    const href = URL.createObjectURL(Teach.write(tensors, notes));
    const link = element("a", { href, download: "taught.safetensors" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000); // once it is surely written
    sayKept(TEXT.saved(link.download));
  }

  // What a file holds, if it is one of ours, and whole.
  function understand({ tensors, notes }) {
    const ensure = (right) => {
      if (!right) throw new Error(TEXT.notOurs);
    };
    ensure(notes.format === FORMAT);
    if (notes.backbone !== BACKBONE) throw new Error(TEXT.otherBackbone(notes.backbone));
    const [texts, files, moved] = [notes.classes, notes.files, notes.settings].map(parse);
    const size = Number(notes.size);
    const { features, labels, held } = tensors;
    const isList = (list) => Array.isArray(list) && list.every((text) => typeof text === "string");
    ensure(isList(texts) && texts.length >= 2 && texts.length <= MOST_CLASSES && isList(files));
    ensure(files.length <= MOST_PICTURES && String(size) in TEXT.sizes);
    const n = String(files.length);
    ensure(String(features?.shape) === `${n},${Teach.FEATURES}` && features.values.every(Number.isFinite));
    ensure(String(labels?.shape) === n && String(held?.shape) === n);
    ensure(labels.values.every((label) => label >= 0 && label < texts.length));
    ensure([...MOVED, "seed"].every((name) => Number.isFinite(moved?.[name])));
    const pictures = files.map((name, i) => ({
      file: null, name, url: null, label: Number(labels.values[i]), held: Boolean(held.values[i]),
      features: { [size]: features.values.subarray(Teach.FEATURES * i, Teach.FEATURES * (i + 1)) },
    }));
    return { moved, next: { source: "own", classes: classesOf(texts), pictures, size } };
  }

  function parse(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(TEXT.notOurs);
    }
  }

  async function load(file) {
    let found;
    try {
      found = understand(await Teach.read(file));
    } catch (error) {
      return sayKept(TEXT.badFile(error.message));
    }
    wanted = "own";
    stop();
    await inTurn(async () => {
      const { moved, next } = found;
      part.source.set("own");
      state.seed = moved.seed;
      await show(next); // which knows how many there are to learn from
      part.shuffle.input.checked = Boolean(moved.shuffle);
      for (const name of MOVED) part[name].set(moved[name]);
      drawCards();
      await retrain();
      say("");
      sayKept(TEXT.loaded(next.pictures.length, names().map((name) => `“${name}”`).join(", ")));
    });
  }

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
    on(part.swap.input, "change", ({ target }) => {
      const { checked } = target;
      inTurn(async () => {
        if (state.source !== "lit") return;
        swapLight(checked);
        await show(shown());
      });
    });
    on(part.cancel, "click", stop);
    on(part.stopCamera, "click", () => (filming = false));
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
    on(part.save, "click", save);
    const askFiles = ([file]) => file && ask({ file, name: file.name });
    part.ask.append(chooser(TEXT.ask, askFiles));
    takeDrops(part.look, askFiles);
    part.keep.append(chooser(TEXT.load, ([file]) => load(file), { accept: ".safetensors" }));
    for (const name of ["dragover", "drop"]) on(document, name, (event) => event.preventDefault()); // beside
    on(document, "paste", ({ clipboardData }) => {
      const files = [...clipboardData.files];
      const label = document.activeElement?.closest(".category[data-label]")?.dataset.label;
      if (label === undefined) askFiles(files);
      else take(state.classes[label], files);
    });
  }

  async function start() {
    part = Teach.build(document.querySelector("#teach"));
    listen();
    addButtons();
    showNothing("");
    await use("book");
  }

  Teach.state = state; // for the tests
  document.addEventListener("DOMContentLoaded", () => start().catch(fail));
})();
