// Every text of the page, in one place: translate it here.
globalThis.Teach = {};
(() => {
  "use strict";
  const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u00a0%`;

  // Never quite sure: a softmax can't be.
  const surely = (p) => (p > 0.9995 ? `over ${percent(0.999)}` : percent(p));
  const signed = (value) => value.toFixed(2).replace("-", "\u2212");

  Object.assign(Teach, { percent, surely });
  Teach.TEXT = {
    // where the pictures come from
    source: "Pictures",
    book: "The book’s ants and bees",
    lit: "The same, in colored light",
    own: "My own",
    classNames: ["ants", "bees"],
    ownNames: ["this", "that", "third", "fourth", "fifth"],
    className: (k) => `Name of class ${k + 1}`,
    addClass: "One more class",
    removeClass: (name) => `Remove the class ${name}`,
    addPictures: "Add pictures",
    addPicturesTo: (name) => `Add pictures to ${name}`,
    camera: "8 from the camera",
    cameraFor: (name) => `Take 8 pictures of ${name} with the camera`,
    cameraStop: "Stop the camera",
    cameraFailed: (why) => `The camera can’t be used (${why}). Is it in use elsewhere, or forbidden?`,
    dropHere: "Drop or paste pictures here.",
    counts: (train, held) => `${train} to learn from, ${held} held out`,
    more: (n) => `and ${n} more`,
    swap: "Swap the light of the held-out pictures",
    size: "Size",
    sizes: { 160: "160 pixels", 224: "224 pixels: slower, better with five a class or fewer" },

    // what is going on
    loading: (done, all) => `Loading the backbone: part ${done} of ${all} …`,
    starting: "Starting the backbone …",
    looking: (done, all) => `Looking at the pictures: ${done} of ${all} …`,
    cancel: "Stop",
    stopped: (left) => `Stopped; ${count(left, "picture")} left out.`,
    looked: (n, ms) => `${count(n, "picture")} in ${(ms / 1000).toFixed(1)} s, ${Math.round(ms / n)} ms each.`,
    refused: (n) => `${count(n, "file")} could not be used:`,
    noWasm:
      "This browser can’t run the network: it lacks WebAssembly with SIMD, or forbids it. The head " +
      "still trains on the book’s pictures; for photos of your own, use a newer browser.",
    noFile: (name) => `${name} did not load. Is the folder of the site whole? Reload the page.`,
    noMemory: "There is not enough memory for the network. Close other pages, and reload this one.",
    failed: (why) => `Something went wrong: ${why}`,

    // files that are no pictures
    empty: "an empty file",
    heic: "HEIC or the like, which can’t be opened here; save it as JPEG",
    noPicture: "no picture that this browser can open",
    line: (w, h) => `a line of ${w} × ${h} pixels; cut out what it shows`,
    tooLarge: (w, h) => `${w} × ${h} pixels, too many to open; make it smaller`,
    tooMany: (most) => `more than ${most} pictures in all; take some away first`,

    // the head
    labeled: "labeled pictures of each class",
    rate: "learning rate",
    steps: "steps",
    decay: "weight decay",
    shuffle: "Shuffle the labels of the training pictures",
    draw: "Draw others",
    reset: "As at first",
    took: (steps, n, ms) => `${count(steps, "step")} on ${count(n, "picture")}: ${Math.max(1, Math.round(ms))} ms.`,
    needs: "Each class needs a picture to learn from.",
    noHeldOut: "No picture is held out yet: every fourth one of a class will be.",
    interval: (n, low, high) =>
      `of ${count(n, "held-out picture")}. 95 % interval: ${percent(low)} to ${percent(high)}.`,
    few: (n) => `Only ${n} held out: one more mistake would change the accuracy by ${percent(1 / n, 0)}.`,
    fewLearn: "So few pictures to learn from: draw others, and the accuracy may be another.",
    overflow: "The numbers have grown beyond all bounds. Lower the learning rate or the weight decay.",
    heldAccuracy: "right",
    curve: "Accuracy and loss, step by step",
    curveAlt: (p) =>
      `After step ${p.step}: accuracy on training pictures ${percent(p.right)}, on held-out ones ` +
      `${percent(p.heldRight)}; loss ${p.loss.toFixed(3)} and ${p.heldLoss.toFixed(3)}.`,
    accuracy: "accuracy",
    loss: "loss",
    dashed: "dashed: held out",
    step: "step",
    sure: "How sure it is of each held-out picture",
    sureAlt: (right, n) => `${right} of ${n} held-out pictures lie on the side of their own class.`,
    surelyClass: (name) => `surely ${name}`,
    surelyRight: "surely right",
    surelyWrong: "surely wrong",
    confusion: "Held-out pictures: a row for what they are, a column for what the head says",

    // asking
    ask: "Choose a photo",
    askHere: "Choose, drop or paste a photo, or press a picture below.",
    strangers: "Or something that it never saw:",
    heat: "Show which cells vote for it",
    threshold: "“Neither” below",
    neither: (name, p) => `Neither: it is only ${surely(p)} sure of “${name}”.`,
    answer: (name, p) => `“${name}”, ${surely(p)} sure.`,
    votes: (cells, yes, name, mean, bias, logit, others) =>
      `The network has ${cells} cells. Each votes, ${yes} of them for “${name}”. The mean of the votes ` +
      `is ${signed(mean)}; with the bias, ${signed(bias)}, that is ${signed(logit)}: ` +
      `exactly how far the logit of “${name}” lies above ${others}.`,
    other: (name) => `that of “${name}”`,
    others: "the mean of the others",
    seenAlt: (answer, yes, cells) => `The photo as the network sees it. ${answer} ${yes} of ${cells} cells vote for it.`,
    nearest: "The nearest labeled pictures, by the cosine of their features",
    untrained: "Train a head first.",
    mistakes: (n) => (n ? `${count(n, "mistake")}, the surest first` : "No mistake on the held-out pictures."),
    mistake: (is, said, p) => `${is}, said: ${said} ${surely(p)}`,
    askAbout: (what) => `Ask about: ${what}`,

    // taking it away
    save: "Save the head and the features",
    load: "Load them again",
    saved: (file) => `Saved as ${file}: the head, and what the network saw of your pictures; not the pictures.`,
    loaded: (n, classes) => `Loaded: ${count(n, "picture")} as features, in the classes ${classes}.`,
    badFile: (why) => `This file can’t be loaded: ${why}.`,
    notOurs: "it is none that this page has saved",
    cut: "it is cut off or damaged",
    otherBackbone: (name) => `it is for the backbone ${name}, and this page has another`,

    // parts
    parts: ["1 · Labeled pictures", "2 · Train the head", "3 · Ask it", "4 · Its mistakes", "5 · Take it away"],
    setUp: "Set it up above",
    back: "Back to the experiment",
    isSetUp: (name) => `Set up: ${name}.`,
  };
})();
