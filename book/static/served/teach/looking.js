// Looking at pictures: all that the network sees in them, one after the other.
(() => {
  "use strict";
  const { TEXT, element, part, pause, say, fail } = Teach;

  let loading = null; // the backbone, once somebody wants it
  async function loadBackbone() {
    await Teach.trustPixels();
    return (loading ??= Teach.loadBackbone((text) => (part.counter.textContent = text))
      .catch((error) => {
        loading = null; // it can be tried again
        throw error;
      })
      .finally(() => (part.counter.textContent = "")));
  }

  // All that the network sees in a file. `alter` may change its pixels before.
  async function examine(file, size, alter = (rgb) => rgb) {
    const backbone = await loadBackbone();
    const rgb = alter(await Teach.look(file, size));
    return { rgb, size, ...(await backbone.run(Teach.normalize(rgb), size)) };
  }

  async function thumbnail(rgb, size) {
    const canvas = Teach.paint(element("canvas"), rgb, size);
    return URL.createObjectURL(await Teach.toBlob(canvas, "image/webp"));
  }

  /* What changes the pictures is done one after the other. What is being done can be stopped, by its
     button or by who wants other pictures: at once, also while a picture hangs. */
  let queue = Promise.resolve();
  let end = () => {}; // of what is being done
  const stop = () => end();
  let waiting = 0; // what is in the queue, with what is being done
  function inTurn(act) {
    waiting += 1;
    return (queue = queue.then(act).catch(fail).finally(() => (waiting -= 1)));
  }

  // Do something with each of many, with a bar, until all are done or somebody stops it. Files that
  // can't be used are named. Returns whether it came to its end.
  async function forEach(items, nameOf, act) {
    if (items.length === 0) return true;
    let isStopped = false;
    const stopped = new Promise((done) => (end = done)).then(() => (isStopped = true));
    const problems = [];
    let done = 0;
    say("");
    if (waiting <= 1) part.problems.replaceChildren(); // else what was said there still holds
    Object.assign(part.progress, { hidden: false, max: items.length, value: 0 });
    part.cancel.hidden = false;
    try {
      await Promise.race([loadBackbone(), stopped]);
      const start = performance.now();
      for (const item of items) {
        if (isStopped) break;
        part.counter.textContent = TEXT.looking(done + 1, items.length);
        await pause();
        try {
          await Promise.race([act(item), stopped]);
        } catch (error) {
          problems.push(`${nameOf(item)}: ${error.message}`);
        }
        if (isStopped) break; // this one is left out too
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

  Object.assign(Teach, { examine, thumbnail, inTurn, forEach, stop });
})();
