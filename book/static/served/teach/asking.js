// Asking about one picture: what the head answers, and why.
(() => {
  "use strict";
  const { TEXT, color, element, examine, featuresOf, names, part, refill, state } = Teach;
  const NEAREST = 6;

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
    const near = (state.result?.learned ?? [])
      .filter((picture) => picture !== asked.picture)
      .map((picture) => ({ picture, close: Teach.cosine(featuresOf(picture), asked.features) }))
      .sort((a, b) => b.close - a.close);
    part.nearestTitle.hidden = near.length === 0;
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

  Object.assign(Teach, { ask, asButton, forget, showAnswer });
})();
