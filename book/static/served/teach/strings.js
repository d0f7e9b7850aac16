// Every text of the page, in one place: translate it here.
globalThis.Teach = {};
(() => {
  "use strict";
  const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u00a0%`;

  // Never quite sure: a softmax can't be.
  const surely = (p) => (p > 0.9995 ? `over ${percent(0.999)}` : percent(p));
  const other = (kind) => `${kind}, which this browser can’t open; save it as JPEG or PNG`;
  const signed = (value) => value.toFixed(2).replace("-0.00", "0.00").replace("-", "\u2212");

  Teach.percent = percent;
  Teach.TEXT = {
    // where the pictures come from
    source: "Pictures",
    book: "The book’s ants and bees",
    lit: "The same, in colored light",
    own: "My own",
    classNames: ["ants", "bees"],
    ownNames: ["this", "that", "third", "fourth", "fifth"],
    className: (k) => `Name of class ${k + 1}`,
    unnamed: (k) => `class ${k + 1}`,
    called: (name) => `Shown and saved as “${name}”, since each class needs a name of its own.`,
    addClass: "One more class",
    removeClass: (name) => `Remove the class ${name}`,
    addPictures: "Add pictures",
    addPicturesTo: (name) => `Add pictures to ${name}`,
    camera: "8 from the camera",
    cameraFor: (name) => `Take 8 pictures of ${name} with the camera`,
    stopCamera: "Stop the camera",
    photo: (n) => `photo ${n}`,
    cameraFailed: (why) => `The camera can’t be used (${why}). Add photos instead.`,
    dropHere: "Drop or paste pictures here. Only the middle of each is used.",
    counts: (train, held) => `${train} to learn from, ${held} held out`,
    more: (n) => `and ${n} more`,
    swap: "Swap the light of the held-out pictures",
    size: "Size",
    sizes: { 160: "160 pixels", 224: "224 pixels: slower, but better if you have five pictures of each class or fewer" },

    // what is going on
    loading: (done, all) => `Loading the backbone: part ${done} of ${all} …`,
    starting: "Starting the backbone …",
    looking: (done, all) => `Looking at the pictures: ${done} of ${all} …`,
    cancel: "Stop",
    progress: "How many pictures are done",
    onlyFeatures: "Loaded features have one size: the pictures themselves are not in the file.",
    stopped: (left) => `Stopped; ${count(left, "picture")} left out.`,
    looked: (n, ms) => `${count(n, "picture")} in ${(ms / 1000).toFixed(1)} s, ${Math.round(ms / n)} ms each.`,
    refused: (n) => `${count(n, "file")} could not be used:`,
    noWasm:
      "This browser can’t run the network: it lacks WebAssembly with SIMD, or forbids it. The head " +
      "still trains on the book’s pictures; for photos of your own, use a newer browser.",
    otherPixels:
      "This browser changes the pixels that a page reads, as a protection against fingerprinting: the network " +
      "would learn from noise. Allow this page to read them, and try again. Firefox, Tor Browser, LibreWolf, " +
      "Mullvad Browser: click the picture icon in the address bar and allow “Extract canvas data”, or turn off " +
      "privacy.resistFingerprinting; in a private window, turn off the tracking protection at the shield. Brave: " +
      "click the lion and allow fingerprinting. The head still trains on the book’s pictures.",
    tooOld: "This browser is too old for this page: it can’t unpack what the page needs.",
    noFile: (name) => `${name} did not load. Is the folder of the site whole? Reload the page.`,
    noMemory: "There is not enough memory for the network. Close other pages, and reload this one.",
    failed: (why) => `Something went wrong: ${why}`,

    // files that can't be used
    empty: "an empty file",
    cutOff: "cut off: its end is missing; copy it again",
    dark: (brightest) =>
      `a picture of 16 bits that is nearly black: its brightest pixel is ${brightest} of 255, so it seems to hold ` +
      "12 bits or fewer; save it with 8 bits, brightened",
    kinds: {
      heic: other("HEIC or the like"),
      tiff: other("TIFF, or a camera’s raw file"),
      pdf: other("PDF"),
      psd: other("a Photoshop file"),
      jxl: other("JPEG XL"),
      jp2: other("JPEG 2000"),
      dicom: other("a medical picture (DICOM)"),
      svg: other("a drawing (SVG)"),
      video: "a video; save single pictures of it, as JPEG or PNG",
      archive: "an archive; unpack it and add the pictures in it",
      html: "a web page; save the picture itself",
    },
    noPicture: "no picture, or a broken one",
    line: (w, h) => `a line of ${w} × ${h} pixels; cut out what it shows`,
    tooLarge: (w, h) => `${w} × ${h} pixels, too many to open; make it smaller`,
    twice: (other) => `the same picture as ${other}`,
    tooMany: (most) => `more than ${most} pictures in all; take some away first`,

    // the head
    labeled: "labeled pictures of each class",
    rate: "learning rate",
    steps: "steps",
    decay: "weight decay",
    shuffle: "Shuffle the labels of the training pictures",
    draw: "Draw other pictures",
    reset: "Reset all settings",
    took: (steps, n, ms) => `${count(steps, "step")} on ${count(n, "picture")}: ${Math.max(1, Math.round(ms))} ms.`,
    needs: "Each class needs a picture to learn from.",
    given:
      "This head was trained elsewhere: choose a photo below and ask it. There are no pictures here to learn " +
      "from. Add some to each class, and this page trains a head of its own.",
    noHeldOut: "Add at least four pictures to each class: every fourth is held out.",
    onTraining: (right) => `On the pictures that it learned from: ${percent(right)}.`,
    draws: (shares) => `Draws before: ${shares.map((share) => percent(share)).join(", ")}.`,
    preparing: "Getting the pictures ready …",
    interval: (n, low, high) =>
      `of ${count(n, "held-out picture")}. 95 % interval: ${percent(low)} to ${percent(high)}.`,
    few: (n) => `Only ${n} held out: one more mistake would cost ${Math.round(100 / n)} percentage points.`,
    fewLearn: "So few pictures to learn from: with others the accuracy may be very different.",
    overflow: "The numbers became too large. Lower the learning rate or the weight decay.",
    curve: "Accuracy and loss, step by step",
    curveAlt: ({ step, right, loss, heldRight, heldLoss }) =>
      `After step ${step}: on training pictures, accuracy ${percent(right)} and loss ${loss.toFixed(3)}` +
      (Number.isNaN(heldRight) ? "." : `; on held-out ones, ${percent(heldRight)} and ${heldLoss.toFixed(3)}.`),
    all: "100 %",
    accuracy: "accuracy",
    loss: "loss",
    dashed: "dashed: held out",
    step: "step",
    sure: "How sure it is of each held-out picture",
    sureAlt: (right, n) => `${right} of ${n} held-out pictures lie on the side of their own class.`,
    surelyClass: (name) => `surely ${name}`,
    surelyRight: "surely right",
    surelyWrong: "surely wrong",
    confusion: "Held-out pictures. Rows: the truth. Columns: the head’s answer.",
    short: (name) => (name.length > 14 ? `${name.slice(0, 8)}…${name.slice(-5)}` : name),

    // asking
    ask: "Choose a photo",
    askHere: "Choose, drop or paste a photo, or press a picture below.",
    strangers: "Or something that the head never saw:",
    heat: "Show which cells vote for it",
    threshold: "Say “neither” below this probability",
    neither: (name, p) => `Neither: it is only ${surely(p)} sure of “${name}”.`,
    answer: (name, p) => `“${name}”, ${surely(p)} sure.`,
    coverage: (answered, n, right) =>
      `So it answers for ${answered} of ${n} held-out pictures` + (answered ? `, and ${right} of these are right.` : "."),
    votes: (side, yes, name, mean, bias, logit, others) =>
      `The network sees a grid of ${side} × ${side} cells. ${yes} of the ${side ** 2} vote for “${name}”. The ` +
      `mean of the votes is ${signed(mean)}. With the bias, ${signed(bias)}, this is ${signed(logit)}, rounded: ` +
      `exactly how far the logit of “${name}” lies above ${others}. Nothing else enters the answer.`,
    other: (name) => `that of “${name}”`,
    others: "the mean of the others",
    seenAlt: (answer, yes, cells) => `The photo as the network sees it. ${answer} ${yes} of ${cells} cells vote for it.`,
    nearest: "The nearest labeled pictures, by the cosine of their features",
    untrained: "There is no head yet: add pictures to each class first.",
    mistakes: (n) =>
      n === 0 ? "No mistake on the held-out pictures." : count(n, "mistake") + (n > 1 ? ", the surest first" : ""),
    mistake: (is, said, p) => `is ${is}; head said ${said}, ${surely(p)}`,
    askAbout: (what) => `Ask about: ${what}`,

    // taking it away
    save: "Save the head and the features",
    load: "Open a saved head",
    saved: (file) => `Saved as ${file}: the head, and what the network saw of your pictures; not the pictures.`,
    loaded: (n, classes) => `Loaded: ${count(n, "picture")} as features, in the classes ${classes}.`,
    loadedHead: (classes) => `Loaded: a head without pictures, for the classes ${classes}.`,
    badFile: (why) => `This file can’t be loaded: ${why}.`,
    notOurs: "this page did not save it",
    cut: "it is cut off or damaged",
    otherBackbone: (name) => `it is for the backbone ${name}, and this page has another`,

    // parts
    parts: ["1 · Labeled pictures", "2 · Train the head", "3 · Ask it", "4 · Its mistakes", "5 · Take it away"],
    setUp: "Set it up above",
    back: "Back to the experiment",
    isSetUp: (name) => `Set up: ${name}.`,
  };
})();
