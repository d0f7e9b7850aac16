// Explorers and films on a page without a kernel. helpers/explorers wrote every setting into the page;
// this shows the one that is chosen, once the reader has made a guess, and plays films.
(() => {
  "use strict";

  let groups = 0;

  // Radio buttons belong together by a name, which no other group of the page may have.
  function nameButtons(fieldset) {
    const name = `explorer-${(groups += 1)}`;
    for (const button of fieldset.querySelectorAll("input")) button.name = name;
  }

  // The index of the option that a control has.
  function chosen(control) {
    return (control.querySelector("input:checked") ?? control.querySelector("input")).value;
  }

  // Say beside a slider, and to a screen reader, which option it is at.
  function nameOption(slider) {
    const text = slider.dataset.texts.split("|")[slider.value];
    slider.closest("label").querySelector("output").value = text;
    slider.setAttribute("aria-valuetext", text);
  }

  // Show the view of the setting that the controls have, and no other.
  function show(explorer) {
    const setting = [...explorer.querySelectorAll(".control")].map(chosen).join(" ");
    for (const view of explorer.querySelectorAll(".view")) {
      view.hidden = view.dataset.setting !== setting;
    }
  }

  // Hide what an explorer shows until the reader has guessed.
  function askFirst(explorer, guess) {
    const explored = explorer.querySelector(".explored");
    explored.hidden = true; // without this script all of it is there
    guess.addEventListener("change", () => {
      const label = guess.querySelector("input:checked").closest("label");
      explorer.querySelector(".said b").textContent = label.textContent;
      explored.hidden = false;
    });
  }

  // Let a button move a film's slider to its end, a frame at a time; it stops at any touch.
  function play(film, button) {
    const slider = film.querySelector(".slider input");
    let timer = null;

    function stop() {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    }
    function move(frame) {
      slider.value = frame;
      nameOption(slider);
      show(film);
    }
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) move(0);
      button.textContent = "Pause";
      timer = setInterval(() => {
        move(Number(slider.value) + 1);
        if (slider.value === slider.max) stop();
      }, Number(film.dataset.interval));
    });
    slider.addEventListener("input", stop);
  }

  function start(explorer) {
    explorer.querySelectorAll("fieldset").forEach(nameButtons);
    explorer.addEventListener("input", ({ target }) => {
      if (target.dataset.texts) nameOption(target);
      show(explorer);
    });
    const guess = explorer.querySelector(".guess");
    if (guess) askFirst(explorer, guess);
    const button = explorer.querySelector(".play");
    if (button) play(explorer, button);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".explorer").forEach(start);
  });
})();
