// Where the pictures come from: the book, the same in colored light, or one's own; and the cards that show
// them. Whatever changes them ends in `show`.
(() => {
  "use strict";
  const {
    MOST_CLASSES, MOST_PICTURES, SHOWN, SIZE, TEXT, asButton, breather, chooser, chosen, clean, color,
    element, examine, forEach, forget, inTurn, names, part, refill, retrain, say, sayKept, showAnswer,
    showNothing, showResult, state, stop, takeDrops, thumbnail,
  } = Teach;
  const LIT = 20; // pictures of each class in colored light, of either part
  const LIGHTS = [[0, 114, 178], [213, 94, 0]]; // of each class
  const LIGHT = 0.7; // the share of it
  const PHOTOS = 8; // of the camera

  const own = { source: "own", classes: TEXT.ownNames.slice(0, 2).map((name) => ({ name })), pictures: [], size: SIZE };
  let book = null; // a promise of the book's pictures
  let bookPictures = [];
  let lit = null; // the same in colored light: they are made once
  const strangers = []; // pictures of none of the classes

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
    strangers.push(...pictures.filter(({ label }) => label < 0));
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

  const classesOf = (texts) => texts.map((name) => ({ name }));
  const SOURCES = {
    book: () => ({ source: "book", classes: classesOf(TEXT.classNames), pictures: bookPictures, size: SIZE }),
    async lit() {
      lit ??= await light();
      return lit && { source: "lit", classes: classesOf(TEXT.classNames), pictures: lit, size: SIZE };
    },
    own: () => own,
  };

  // Say which source is wanted: whatever is going on for another one stops.
  let wanted = null;
  function want(source) {
    wanted = source;
    stop();
  }

  // Show the pictures of a source; returns whether they are shown.
  async function use(source) {
    want(source);
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

  const relight = (swapped) =>
    inTurn(async () => {
      if (state.source !== "lit") return;
      swapLight(swapped);
      await show(shown());
    });

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
      await Teach.trustPixels();
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 320 } });
      part.video.srcObject = stream;
      part.video.hidden = part.stopCamera.hidden = false;
      await part.video.play();
      while (filming && photos.length < PHOTOS) {
        const canvas = element("canvas", { width: part.video.videoWidth, height: part.video.videoHeight });
        canvas.getContext("2d").drawImage(part.video, 0, 0);
        photos.push(await Teach.toBlob(canvas, "image/png"));
        await new Promise((done) => setTimeout(done, 300));
      }
    } catch (error) {
      say(error instanceof DOMException ? TEXT.cameraFailed(error.name) : error.message);
    } finally {
      stream?.getTracks().forEach((track) => track.stop());
      part.video.hidden = part.stopCamera.hidden = true;
      filming = false;
    }
    await take(mine, photos);
  }

  const stopCamera = () => (filming = false);

  // ---- what is shown of them ---------------------------------------------------------------------

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
    // Pictures, or another number of classes: a head that was trained elsewhere goes.
    const stays = pictures.length === 0 && next.given?.bias.length === classes.length;
    const given = stays ? next.given : null;
    forget();
    Object.assign(state, next, { given, table, draws: [] });
    part.source.set(next.source);
    if (next.source === "own") Object.assign(own, { classes, pictures, size, given });

    const isOwn = state.source === "own";
    part.size.set(String(size));
    part.size.group.hidden = state.source === "lit" || given !== null; // these have one size
    part.controls.hidden = part.mistakes.parentElement.hidden = given !== null;
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
    const { source, classes, pictures, size, given } = state;
    return { source, classes, pictures, size, given };
  };

  const useAll = () => part.labeled.set(part.labeled.input.max);

  function card(mine, label, learned) {
    const name = names()[label];
    const all = state.pictures.filter((picture) => picture.label === label);
    const held = all.filter((picture) => picture.held).length;
    const shown = learned.filter((picture) => picture.label === label);
    const isOwn = state.source === "own";
    const title = isOwn
      ? element("input", {
          value: mine.name, maxLength: 40, data: { key: `name ${label}` }, aria: { label: TEXT.className(label) },
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
    made.append(
      element("p", { className: "warning called", role: "status" }),
      element("p", { className: "soft" }, TEXT.dropHere),
      element("div", { className: "line" }, ...buttons),
    );
    made.dataset.label = label;
    takeDrops(made, (files) => take(mine, files));
    return made;
  }

  function drawCards() {
    const learned = chosen();
    refill(part.classes, state.classes.map((mine, label) => card(mine, label, learned)), part.addClass);
    sayNames();
  }

  // Below a name that is empty, or that of another class: what the class is called instead.
  function sayNames() {
    for (const note of part.classes.querySelectorAll(".called")) {
      const { label } = note.parentElement.dataset;
      const name = names()[label];
      const text = name === clean(state.classes[label].name) ? "" : TEXT.called(name);
      if (note.textContent !== text) note.textContent = text; // it is read aloud
    }
  }

  // The cards stay, so that one can go on typing.
  function rename(mine, name) {
    mine.name = name;
    sayNames();
    if (state.result) showResult();
    if (state.asked) showAnswer();
  }

  Object.assign(Teach, {
    addClass, drawCards, relight, resize, show, stopCamera, strangers, take, use, useAll, want,
  });
})();
