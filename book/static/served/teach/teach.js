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

  /* A picture: `file` (a Blob, or null where only features were loaded), `name`, `label` (the index
     of its class), `held` (out, of training), `url` (of a small picture) and `features`, by size. */
  const state = {
    source: "book", names: TEXT.classNames, pictures: [], size: SIZE, seed: 1, // of the draw
    table: null, // the products of all features, which training needs
    head: null, result: null, asked: null, run: null, // the last training run that was begun
  };
  let part; // of the page
  let loading = null; // the backbone, once somebody wants it
  let job = null; // what is being looked at; another one ends it

  const loadBackbone = () =>
    (loading ??= Teach.loadBackbone(say).then((backbone) => (say(""), backbone), (error) => {
      loading = null; // it can be tried again
      throw error;
    }));
  const say = (text) => (part.status.textContent = text);
  const fail = (error) => say(error.message || TEXT.failed(error));
  const featuresOf = (picture) => picture.features[state.size];

  // ---- looking at pictures -----------------------------------------------------------------------

  // All that the network sees in a file. `alter` may change its pixels before.
  async function examine(file, alter = (rgb) => rgb) {
    const backbone = await loadBackbone();
    const rgb = alter(await Teach.look(file, state.size));
    return { rgb, size: state.size, ...(await backbone.run(Teach.normalize(rgb), state.size)) };
  }

  async function thumbnail(rgb, size) {
    const canvas = Teach.paint(new OffscreenCanvas(size, size), rgb, size);
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/webp" }));
  }

  // Do something with each of many, with a bar, until all are done or somebody stops it. Files that
  // can't be used are named. Returns whether it came to its end.
  async function forEach(items, nameOf, act) {
    const mine = (job = {});
    const problems = [];
    const start = performance.now();
    let done = 0;
    part.problems.replaceChildren();
    Object.assign(part.progress, { hidden: false, max: items.length, value: 0 });
    part.cancel.hidden = false;
    try {
      await loadBackbone();
      for (const item of items) {
        if (job !== mine) break;
        say(TEXT.looking(done + 1, items.length));
        await pause();
        try {
          await act(item);
        } catch (error) {
          problems.push(`${nameOf(item)}: ${error.message}`);
        }
        part.progress.value = done += 1;
      }
    } catch (error) {
      fail(error);
      return false;
    } finally {
      if (job === mine || job === null) part.progress.hidden = part.cancel.hidden = true;
    }
    if (job !== mine && job !== null) return false; // something else has begun
    const left = items.length - done;
    say(left ? TEXT.stopped(left) : TEXT.looked(done, performance.now() - start));
    if (problems.length) {
      part.problems.replaceChildren(
        element("p", {}, TEXT.refused(problems.length)),
        element("ul", {}, ...problems.map((text) => element("li", {}, text))),
      );
    }
    job = null;
    return left === 0;
  }

  // ---- where pictures come from ------------------------------------------------------------------

  // The book's pictures and their features, as they were packed.
  async function bookPictures() {
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
    return pictures;
  }
  let book = null; // those pictures, loaded once
  let strangers = [];

  const SOURCES = {
    async book() {
      return { names: TEXT.classNames, pictures: book };
    },
    // Some of them in a light whose color gives the class away.
    async lit() {
      const some = [0, 1].flatMap((label) =>
        [false, true].flatMap((held) =>
          book.filter((p) => p.label === label && p.held === held).slice(0, LIT)));
      const pictures = [];
      await forEach(some, ({ name }) => name, async (picture) => {
        const faces = [];
        for (const label of [picture.label, 1 - picture.label]) {
          const seen = await examine(picture.file, (rgb) => Teach.tint(rgb, LIGHTS[label], LIGHT));
          faces.push({
            url: await thumbnail(seen.rgb, seen.size), features: { [state.size]: seen.features }, seen,
          });
        }
        pictures.push({ ...picture, ...faces[0], faces });
      });
      return { names: TEXT.classNames, pictures };
    },
    async own() {
      return own;
    },
  };
  const own = { names: TEXT.ownNames.slice(0, 2), pictures: [] };

  async function use(source) {
    job = null; // whatever was being looked at
    state.source = source;
    forget();
    part.swap.input.checked = false;
    part.source.set(source);
    if (source !== "own") setSize(SIZE);
    const found = await SOURCES[source]();
    if (state.source !== source) return; // somebody was faster
    Object.assign(state, found);
    useAll();
    await changed();
  }

  const useAll = () => part.labeled.set(part.labeled.input.max);

  function setSize(size) {
    state.size = size;
    part.size.set(String(size));
  }

  // Look at all pictures again, at another size, unless that was done before.
  async function resize(size) {
    const before = state.size;
    setSize(size);
    forget();
    const todo = state.pictures.filter((picture) => !picture.features[size] && picture.file);
    const whole = await forEach(todo, ({ name }) => name, async (picture) => {
      picture.features[size] = (await examine(picture.file)).features;
    });
    if (!whole || state.pictures.some((picture) => !picture.features[size])) setSize(before);
    await changed();
  }

  // Take files into a class; of each class every fourth is held out.
  async function take(label, files) {
    const { pictures } = own;
    await forEach(files, (file) => file.name ?? TEXT.camera, async (file) => {
      if (pictures.length >= MOST_PICTURES) throw new Error(TEXT.tooMany(MOST_PICTURES));
      const { rgb, size, features } = await examine(file);
      const before = pictures.filter((picture) => picture.label === label).length;
      pictures.push({
        file, label, name: file.name ?? "camera", held: before % 4 === 3,
        url: await thumbnail(rgb, size), features: { [size]: features },
      });
    });
    await changed();
  }

  // Photos from the camera, until there are eight or somebody presses the button again.
  async function photograph(label, button) {
    if (button.stop) return button.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 320 } });
    } catch (error) {
      return say(TEXT.cameraFailed(error.name));
    }
    let on = true;
    button.stop = () => (on = false);
    button.textContent = TEXT.cameraStop;
    Object.assign(part.video, { srcObject: stream, hidden: false });
    await part.video.play();
    const photos = [];
    while (on && photos.length < 8) {
      const canvas = new OffscreenCanvas(part.video.videoWidth, part.video.videoHeight);
      canvas.getContext("2d").drawImage(part.video, 0, 0);
      photos.push(await canvas.convertToBlob({ type: "image/png" }));
      await new Promise((done) => setTimeout(done, 300));
    }
    stream.getTracks().forEach((track) => track.stop());
    part.video.hidden = true;
    await take(label, photos);
  }

  // ---- the classes and their pictures ------------------------------------------------------------

  // A small picture as a button that asks about it.
  function asButton(picture, text) {
    const image = picture.url
      ? element("img", { src: picture.url, alt: "" })
      : element("span", { className: "blank" }, "?");
    return element("button", {
      type: "button", className: "thumb", disabled: !picture.file,
      aria: { label: TEXT.askAbout(text) }, onclick: () => ask(picture),
    }, image, element("span", {}, text));
  }

  function card(name, label) {
    const mine = state.pictures.filter((picture) => picture.label === label);
    const held = mine.filter((picture) => picture.held).length;
    const shown = chosen().filter((picture) => picture.label === label);
    const isOwn = state.source === "own";
    const title = isOwn
      ? element("input", {
          value: name, maxLength: 40, aria: { label: TEXT.className(label) },
          oninput: ({ target }) => ((state.names[label] = target.value), retrain()),
        })
      : element("b", {}, name);
    const made = element("div", { className: "category", style: { "--color": color(label) } },
      element("div", { className: "line" }, element("i", { className: "dot" }), title,
        element("span", { className: "soft" }, TEXT.counts(mine.length - held, held))),
      element("div", { className: "thumbs small" },
        ...shown.slice(0, SHOWN).map((picture) => asButton(picture, "")),
        shown.length > SHOWN ? element("span", { className: "soft" }, TEXT.more(shown.length - SHOWN)) : null));
    if (!isOwn) return made;
    const buttons = [chooser(TEXT.addPictures, (files) => take(label, files), {
      label: TEXT.addPicturesTo(name), multiple: true,
    })];
    if (navigator.mediaDevices) {
      const button = element("button", { type: "button", aria: { label: TEXT.cameraFor(name) } }, TEXT.camera);
      button.addEventListener("click", () => photograph(label, button));
      buttons.push(button);
    }
    if (state.names.length > 2) {
      buttons.push(element("button", {
        type: "button", aria: { label: TEXT.removeClass(name) }, onclick: () => removeClass(label),
      }, "×"));
    }
    made.append(element("p", { className: "soft" }, TEXT.dropHere), element("div", { className: "line" }, ...buttons));
    made.dataset.label = label;
    takeDrops(made, (files) => take(label, files));
    return made;
  }

  function addClass() {
    const free = TEXT.ownNames.find((name) => !state.names.includes(name)) ?? "";
    state.names.push(free);
    changed();
  }

  function removeClass(label) {
    state.names.splice(label, 1);
    own.pictures = state.pictures = state.pictures.filter((picture) => picture.label !== label);
    for (const picture of state.pictures) picture.label -= picture.label > label ? 1 : 0;
    forget();
    changed();
  }

  // The pictures to learn from: so many of each class, which the draw decides.
  function chosen() {
    const most = Number(part.labeled.input.value);
    const drawn = state.names.flatMap((_, label) => {
      const mine = state.pictures.filter((picture) => picture.label === label && !picture.held);
      return Teach.shuffled(mine, state.seed).slice(0, most);
    });
    const some = new Set(drawn);
    return state.pictures.filter((picture) => some.has(picture)); // in their own order
  }

  const drawCards = () => part.classes.replaceChildren(...state.names.map(card));

  // Other pictures, or the same with other features: all that depends on them anew.
  async function changed() {
    const isOwn = state.source === "own";
    part.size.group.hidden = state.source === "lit";
    part.swap.line.hidden = state.source !== "lit";
    part.addClass.hidden = !isOwn || state.names.length >= MOST_CLASSES;
    const each = state.names.map((_, k) => state.pictures.filter((p) => p.label === k && !p.held).length);
    const slider = part.labeled;
    const all = slider.input.value === slider.input.max;
    slider.input.max = Math.max(1, ...each);
    if (all) useAll();
    slider.show();
    const mine = (state.run = {});
    const train = state.pictures.filter((picture) => !picture.held);
    const held = state.pictures.filter((picture) => picture.held);
    const breathe = breather();
    const columns = train.map(featuresOf);
    const own = await Teach.products(columns, columns, breathe);
    const heldRows = await Teach.products(held.map(featuresOf), columns, breathe);
    if (state.run !== mine) return;
    state.table = { own, heldRows, held, places: new Map(train.map((picture, i) => [picture, i])) };
    await retrain();
  }

  // ---- the head ----------------------------------------------------------------------------------

  const settings = () => ({
    lr: 10 ** Number(part.rate.input.value),
    steps: Number(part.steps.input.value),
    decay: part.decay.input.value > -5 ? 10 ** Number(part.decay.input.value) : 0,
  });

  // Train anew, in slices between which the page lives; a later call ends an earlier one.
  async function retrain() {
    drawCards();
    const { table } = state;
    const mine = (state.run = {});
    const learned = chosen();
    const missing = state.names.some((_, k) => !learned.some((picture) => picture.label === k));
    if (missing || !table) return showNothing(TEXT.needs);

    const places = learned.map((picture) => table.places.get(picture));
    const all = places.length === table.places.size && places.every((at, i) => at === i);
    const cut = (rows) => (all ? rows : rows.map((row) => Float64Array.from(places, (i) => row[i])));
    const labels = learned.map((picture) => picture.label);
    const shuffle = part.shuffle.input.checked;
    const options = settings();
    const breathe = breather();
    let start = performance.now();
    const training = Teach.train({
      own: cut(places.map((i) => table.own[i])),
      labels: shuffle ? Teach.shuffled(labels, state.seed) : labels,
      held: cut(table.heldRows),
      heldLabels: table.held.map((picture) => picture.label),
      numClasses: state.names.length,
      ...options,
    });
    const points = [];
    let spent = 0;
    let last;
    for (last of training) {
      if (last.point.held) points.push(last.point);
      if (!Number.isFinite(last.point.loss)) return showNothing(TEXT.overflow);
      const before = performance.now();
      await breathe();
      if (state.run !== mine) return;
      spent += before - start;
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
    part.interval.textContent = "";
    part.warning.textContent = why;
    part.took.textContent = "";
    for (const name of ["curve", "sure", "confusion", "mistakes"]) part[name].replaceChildren();
    part.mistakesTitle.textContent = "";
    part.save.disabled = true;
    if (state.asked) showAnswer();
  }

  function showResult() {
    const { points, learned, held } = state.result;
    const { heldRight, held: probabilities } = points.at(-1);
    const labels = held.map((picture) => picture.label);
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
    if (learned.length < 5 * state.names.length) warnings.push(TEXT.fewLearn);
    part.warning.textContent = warnings.join(" ");
    part.curve.replaceChildren(Teach.curve(points));
    part.sure.replaceChildren(Teach.sureness(probabilities, labels, state.names));
    part.confusion.replaceChildren(Teach.confusion(probabilities, labels, state.names));

    const wrong = held
      .map((picture, i) => ({ picture, p: probabilities[i], said: Teach.argmax(probabilities[i]) }))
      .filter(({ picture, said }) => said !== picture.label)
      .sort((a, b) => b.p[b.said] - a.p[a.said]);
    part.mistakesTitle.textContent = held.length ? TEXT.mistakes(wrong.length) : "";
    part.mistakes.replaceChildren(...wrong.slice(0, SHOWN).map(({ picture, p, said }) =>
      asButton(picture, TEXT.mistake(state.names[picture.label], state.names[said], p[said]))));
  }

  // ---- asking ------------------------------------------------------------------------------------

  async function ask(picture) {
    try {
      say("");
      const { file } = picture;
      state.asked = { picture, ...(picture.seen ?? (await examine(file))) };
      say("");
      showAnswer();
      part.look.scrollIntoView({ block: "nearest" });
    } catch (error) {
      const name = picture.name ?? TEXT.ask;
      part.answer.textContent = `${name}: ${error.message}`;
    }
  }

  // Other pictures, or another size: what was asked before is of no use.
  function forget() {
    state.asked = null;
    part.seen.hidden = part.nearestTitle.hidden = true;
    part.answer.textContent = part.votes.textContent = "";
    for (const name of ["bars", "nearest"]) part[name].replaceChildren();
  }

  function showAnswer() {
    const { asked, head, names } = state;
    part.seen.hidden = false;
    Teach.paint(part.seen, asked.rgb, asked.size);
    if (!head) {
      part.answer.textContent = TEXT.untrained;
      for (const name of ["bars", "nearest"]) part[name].replaceChildren();
      part.votes.textContent = "";
      return;
    }
    const p = Teach.predict(head, asked.features);
    const k = Teach.argmax(p);
    const votes = Teach.vote(head, asked.map, k);
    const yes = votes.cells.filter((value) => value > 0).length;
    const sure = p[k] >= Number(part.threshold.input.value) / 100;
    const answer = (sure ? TEXT.answer : TEXT.neither)(names[k], p[k]);
    if (part.heat.input.checked) paintVotes(votes.cells, asked.side, k);
    part.seen.setAttribute("aria-label", TEXT.seenAlt(answer, yes, votes.cells.length));
    part.answer.textContent = answer;
    part.bars.replaceChildren(...Teach.bars(p, names));
    const others = names.length === 2 ? TEXT.other(names[1 - k]) : TEXT.others;
    part.votes.textContent = TEXT.votes(
      votes.cells.length, yes, names[k], votes.mean, votes.bias, votes.logit, others,
    );
    const near = state.result.learned
      .filter((picture) => picture !== asked.picture)
      .map((picture) => ({ picture, close: Teach.cosine(featuresOf(picture), asked.features) }))
      .sort((a, b) => b.close - a.close);
    part.nearestTitle.hidden = false;
    part.nearest.replaceChildren(...near.slice(0, NEAREST).map(({ picture, close }) =>
      asButton(picture, `${names[picture.label]} ${close.toFixed(2)}`)));
  }

  // Lay the votes over the picture: in the color of the class, or of the other one where against it.
  function paintVotes(cells, side, k) {
    const most = Math.max(...cells.map(Math.abs));
    const small = new OffscreenCanvas(side, side);
    const image = new ImageData(side, side);
    const rgb = (name) => {
      const probe = element("i", { style: { color: name, display: "none" } });
      part.look.append(probe);
      const numbers = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
      probe.remove();
      return numbers.slice(0, 3);
    };
    const [forIt, against] = [rgb(color(k)), rgb(state.names.length === 2 ? color(1 - k) : "gray")];
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
    const { head, pictures, names, size, seed } = state;
    const classes = names.length;
    const tensors = {
      "head.weight": { type: "F32", shape: [classes, Teach.FEATURES], values: head.weight.flatMap((row) => [...row]) },
      "head.bias": { type: "F32", shape: [classes], values: head.bias },
      features: {
        type: "F32", shape: [pictures.length, Teach.FEATURES],
        values: pictures.flatMap((picture) => [...featuresOf(picture)]),
      },
      labels: { type: "I64", shape: [pictures.length], values: pictures.map(({ label }) => BigInt(label)) },
      held: { type: "I64", shape: [pictures.length], values: pictures.map(({ held }) => BigInt(held)) },
    };
    const moved = Object.fromEntries(MOVED.map((name) => [name, part[name].input.value]));
    const notes = {
      format: FORMAT, backbone: BACKBONE, size: String(size), classes: JSON.stringify(names),
      files: JSON.stringify(pictures.map(({ name }) => name)),
      settings: JSON.stringify({ ...moved, shuffle: part.shuffle.input.checked, seed }),
    };
    const link = element("a", { href: URL.createObjectURL(Teach.write(tensors, notes)), download: "taught.safetensors" });
    link.click();
    say(TEXT.saved(link.download));
  }
  const MOVED = ["labeled", "rate", "steps", "decay"];

  async function load(file) {
    try {
      const { tensors, notes } = await Teach.read(file);
      if (notes.format !== FORMAT) throw new Error(TEXT.notOurs);
      if (notes.backbone !== BACKBONE) throw new Error(TEXT.otherBackbone(notes.backbone));
      const [names, files] = [JSON.parse(notes.classes), JSON.parse(notes.files)];
      const { seed, shuffle, ...moved } = JSON.parse(notes.settings);
      const size = Number(notes.size);
      const { features, labels, held } = tensors;
      const pictures = files.map((name, i) => ({
        file: null, name, url: null, label: Number(labels.values[i]), held: Boolean(held.values[i]),
        features: { [size]: features.values.subarray(Teach.FEATURES * i, Teach.FEATURES * (i + 1)) },
      }));
      Object.assign(own, { names, pictures });
      Object.assign(state, { source: "own", names, pictures, seed });
      forget();
      part.source.set("own");
      setSize(size);
      await changed(); // which knows how many there are to learn from
      part.shuffle.input.checked = shuffle;
      for (const name of MOVED) part[name].set(moved[name]);
      await retrain();
      say(TEXT.loaded(pictures.length, names.map((name) => `“${name}”`).join(", ")));
    } catch (error) {
      say(TEXT.badFile(error.message));
    }
  }

  // ---- the experiments ---------------------------------------------------------------------------

  function move(values) {
    for (const name of MOVED) {
      if (name in values) part[name].set(values[name]);
      else if (name === "labeled") useAll();
      else part[name].reset();
    }
    part.shuffle.input.checked = values.shuffle ?? false;
    return retrain();
  }

  const EXPERIMENTS = {
    few: () => use("book").then(() => move({ labeled: 1 })),
    shuffled: () => use("book").then(() => move({ shuffle: true })),
    background: () => use("lit").then(() => move({})),
    stranger: () => use("book").then(() => move({})).then(() => ask(strangers[0])),
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
        await EXPERIMENTS[name]();
        const back = element("a", { href: `#${box.id}` }, TEXT.back);
        part.status.replaceChildren(`${TEXT.isSetUp(title)} `, back);
      });
      box.querySelector("details").before(button); // which says what to see
    }
  }

  // ---- the beginning -----------------------------------------------------------------------------

  function listen() {
    const on = (target, name, act) => target.addEventListener(name, act);
    on(part.source.group, "change", ({ target }) => use(target.value).catch(fail));
    on(part.size.group, "change", ({ target }) => resize(Number(target.value)).catch(fail));
    on(part.swap.input, "change", ({ target }) => {
      for (const picture of state.pictures.filter(({ held }) => held)) {
        Object.assign(picture, picture.faces[target.checked ? 1 : 0]);
      }
      changed();
    });
    on(part.cancel, "click", () => (job = null));
    on(part.addClass, "click", addClass);
    for (const name of MOVED) on(part[name].input, "input", retrain);
    on(part.shuffle.input, "change", retrain);
    on(part.draw, "click", () => ((state.seed += 1), retrain()));
    on(part.reset, "click", () => ((state.seed = 1), move({})));
    for (const { input } of [part.heat, part.threshold]) on(input, "input", () => state.asked && showAnswer());
    on(part.save, "click", save);
    const askFiles = ([file]) => file && ask({ file, name: file.name });
    part.ask.append(chooser(TEXT.ask, askFiles));
    takeDrops(part.look, askFiles);
    part.keep.append(chooser(TEXT.load, ([file]) => load(file), { accept: ".safetensors" }));
    on(document, "paste", ({ clipboardData }) => {
      const files = [...clipboardData.files];
      const card = document.activeElement?.closest(".category[data-label]");
      if (files.length && card) take(Number(card.dataset.label), files);
      else askFiles(files);
    });
  }

  async function start() {
    part = Teach.build(document.querySelector("#teach"));
    listen();
    addButtons();
    showNothing("");
    await Teach.script("data/book.js");
    book = await bookPictures();
    strangers = book.filter(({ label }) => label < 0);
    book = book.filter(({ label }) => label >= 0);
    part.strangers.replaceChildren(...strangers.map((picture) => asButton(picture, picture.name)));
    await use("book");
  }

  Teach.state = state; // for the tests
  document.addEventListener("DOMContentLoaded", () => start().catch(fail));
})();
