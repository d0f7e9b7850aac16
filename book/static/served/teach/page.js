// What is shown, and the parts of the page that show it. What is chosen, moved and asked is in the files
// after this one.
(() => {
  "use strict";
  const { TEXT } = Teach;
  const SIZE = 160; // pixels a side, of the book's pictures and at first
  const MOST_CLASSES = 5;
  const MOST_PICTURES = 1500;
  const SHOWN = 24; // small pictures in a row of them
  const MOVED = ["labeled", "rate", "steps", "decay"]; // the sliders of the head

  /* A class is `{ name }`. A picture: `file` (a Blob, or null where only features were loaded),
     `name`, `label` (the index of its class), `held` (out, of training), `url` (of a small picture)
     and `features`, by size. `given` is a head that was trained elsewhere and loaded without pictures, or
     null. What is shown changes at once, in `show`, so that pictures, size and
     `table` (the products of all features, which training needs) always fit together. */
  const state = {
    source: "book", classes: TEXT.classNames.map((name) => ({ name })), pictures: [], size: SIZE,
    table: null, seed: 1, draws: [], // what the draws before gave
    head: null, given: null, result: null, asked: null, run: null, // the last training run that was begun
  };
  const part = Teach.build(document.querySelector("#teach")); // a deferred script finds the page whole

  const clean = (name) => name.normalize().trim().replace(/\s+/g, " ");

  // The names of the classes as they are shown and saved: none is empty, and each is there once.
  function names() {
    const all = [];
    state.classes.forEach(({ name }, k) => {
      const wanted = clean(name) || TEXT.unnamed(k);
      let unique = wanted;
      for (let n = 2; all.includes(unique); n++) unique = `${wanted} (${n})`;
      all.push(unique);
    });
    return all;
  }
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

  Object.assign(Teach, {
    state, part, clean, names, featuresOf, say, sayKept, fail, refill, SIZE, MOST_CLASSES, MOST_PICTURES,
    SHOWN, MOVED,
  });
})();
