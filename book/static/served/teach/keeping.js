// Taking the head and the features away as a file, and loading them again.
(() => {
  "use strict";
  const {
    MOST_CLASSES, MOST_PICTURES, MOVED, TEXT, drawCards, element, featuresOf, inTurn, names, part,
    retrain, say, sayKept, show, state, want,
  } = Teach;
  const BACKBONE = "tf_efficientnet_lite0"; // as timm names it
  const FORMAT = "transfer-learning-hands-on 1"; // of the file to take away

  function saveHead() {
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
    return { moved, next: { source: "own", classes: texts.map((name) => ({ name })), pictures, size } };
  }

  function parse(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(TEXT.notOurs);
    }
  }

  async function loadHead(file) {
    let found;
    try {
      found = understand(await Teach.read(file));
    } catch (error) {
      return sayKept(TEXT.badFile(error.message));
    }
    want("own");
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

  Object.assign(Teach, { saveHead, loadHead });
})();
