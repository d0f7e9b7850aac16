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
    const [texts, size] = [parse(notes.classes), Number(notes.size)];
    const { features, labels, held, "head.weight": weight, "head.bias": bias } = tensors;
    const isList = (list) => Array.isArray(list) && list.every((text) => typeof text === "string");
    ensure(isList(texts) && texts.length >= 2 && texts.length <= MOST_CLASSES && String(size) in TEXT.sizes);
    const shown = { source: "own", classes: texts.map((name) => ({ name })), size };
    if (!features) {
      // A head that was trained elsewhere comes without pictures.
      ensure(String(weight?.shape) === `${texts.length},${Teach.FEATURES}` && weight.values.every(Number.isFinite));
      ensure(String(bias?.shape) === String(texts.length) && bias.values.every(Number.isFinite));
      const row = (_, k) => Float64Array.from(weight.values.subarray(Teach.FEATURES * k, Teach.FEATURES * (k + 1)));
      const given = { weight: texts.map(row), bias: Float64Array.from(bias.values) };
      return { next: { ...shown, pictures: [], given } };
    }
    const [files, moved] = [notes.files, notes.settings].map(parse);
    ensure(isList(files) && files.length <= MOST_PICTURES);
    const n = String(files.length);
    ensure(String(features?.shape) === `${n},${Teach.FEATURES}` && features.values.every(Number.isFinite));
    ensure(String(labels?.shape) === n && String(held?.shape) === n);
    ensure(labels.values.every((label) => label >= 0 && label < texts.length));
    ensure([...MOVED, "seed"].every((name) => Number.isFinite(moved?.[name])));
    const pictures = files.map((name, i) => ({
      file: null, name, url: null, label: Number(labels.values[i]), held: Boolean(held.values[i]),
      features: { [size]: features.values.subarray(Teach.FEATURES * i, Teach.FEATURES * (i + 1)) },
    }));
    return { moved, next: { ...shown, pictures } };
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
      if (moved) state.seed = moved.seed;
      await show(next); // which knows how many there are to learn from
      say("");
      const called = names().map((name) => `“${name}”`).join(", ");
      if (next.given) return sayKept(TEXT.loadedHead(called));
      part.shuffle.input.checked = Boolean(moved.shuffle);
      for (const name of MOVED) part[name].set(moved[name]);
      drawCards();
      await retrain();
      sayKept(TEXT.loaded(next.pictures.length, called));
    });
  }

  Object.assign(Teach, { saveHead, loadHead });
})();
