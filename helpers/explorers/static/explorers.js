// Explorers and films on a page without a kernel. helpers/explorers wrote every setting into the page;
// this shows the one that is chosen, once the reader has made a guess, and plays films.
(() => {
  "use strict";

  let groups = 0;

  // The index of the option that a control has.
  function chosen(control) {
    return (control.querySelector("input:checked") ?? control.querySelector("input")).value;
  }

  // Say beside a slider, and to a screen reader, which option it is at.
  function nameOption(slider) {
    const text = JSON.parse(slider.dataset.texts)[slider.value];
    slider.closest("label").querySelector(".at").textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  // Every view of an explorer by its setting. All but the one that shows lie in scripts that the
  // browser does not run: also where a notebook is shown without its scripts, they don't show.
  function viewsOf(explorer) {
    const sources = [...explorer.querySelectorAll("script[data-setting]")];
    const views = new Map(sources.map((source) => [source.dataset.setting, source.textContent]));
    const view = explorer.querySelector(".view");
    return views.set(view.dataset.setting, view.innerHTML);
  }

  // Show the view of the setting that the controls have.
  function show(explorer, views) {
    const view = explorer.querySelector(".view");
    view.style.minHeight = `${view.offsetHeight}px`; // what stands below doesn't jump up
    view.dataset.setting = [...explorer.querySelectorAll(".control")].map(chosen).join(" ");
    view.innerHTML = views.get(view.dataset.setting);
  }

  // Hide what an explorer shows until the reader has guessed, and is sure of it.
  function askFirst(explorer, guess) {
    const explored = explorer.querySelector(".explored");
    const sure = explorer.querySelector(".sure");
    explored.hidden = true; // without this script all of it is there
    guess.addEventListener("change", () => (sure.disabled = false));
    sure.addEventListener("click", () => {
      const label = guess.querySelector("input:checked").closest("label");
      const mine = document.createElement("b");
      mine.textContent = label.textContent;
      const said = explorer.querySelector(".said");
      said.innerHTML = `. ${explorer.querySelector(".answer").textContent}`;
      said.prepend("Your guess: ", mine);
      explored.hidden = false;
      guess.disabled = sure.disabled = true; // a guess is one
    });
  }

  // Let a button move a film's slider to its end, a frame at a time; it stops at any touch. For who
  // wants little motion, each press is a frame.
  function play(film, views) {
    const button = film.querySelector(".play");
    const slider = film.querySelector(".slider input");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const label = button.getAttribute("aria-label").replace("Play: ", "");
    let timer = null;

    function call(name) {
      button.textContent = name;
      button.setAttribute("aria-label", `${name}: ${label}`);
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      call(calm ? "Next" : "Play");
    }
    function move(frame) {
      slider.value = frame;
      nameOption(slider);
      show(film, views);
    }
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) return move(0);
      if (calm) return move(Number(slider.value) + 1);
      call("Pause");
      timer = setInterval(() => {
        move(Number(slider.value) + 1);
        if (slider.value === slider.max) stop();
      }, Number(film.dataset.interval));
    });
    slider.addEventListener("input", stop);
    window.addEventListener("beforeprint", () => move(slider.max));
    stop();
    move(0);
  }

  function start(explorer) {
    const views = viewsOf(explorer);
    for (const fieldset of explorer.querySelectorAll("fieldset")) {
      groups += 1; // radio buttons belong together by a name, which no other group may have
      for (const button of fieldset.querySelectorAll("input")) button.name = `explorer-${groups}`;
    }
    for (const control of explorer.querySelectorAll(".control")) {
      control.addEventListener("input", ({ target }) => {
        if (target.dataset.texts) nameOption(target);
        show(explorer, views);
      });
    }
    const guess = explorer.querySelector(".guess");
    if (guess) askFirst(explorer, guess);
    if (explorer.querySelector(".play")) play(explorer, views);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".explorer:has(.control)").forEach(start);
  });
  window.addEventListener("beforeprint", () => {
    for (const words of document.querySelectorAll(".explorer .in-words")) words.open = true;
  });
})();
