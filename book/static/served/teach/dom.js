// Small help with elements.
(() => {
  "use strict";

  // Make an element; children are elements or plain text, so that no name of a file or a class is
  // ever read as HTML.
  function element(tag, properties = {}, ...children) {
    const { aria, data, style, ...rest } = properties;
    const made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(aria ?? {})) made.setAttribute(`aria-${name}`, value);
    Object.assign(made.dataset, data ?? {});
    for (const [name, value] of Object.entries(style ?? {})) made.style.setProperty(name, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  // The same for a part of a drawing.
  function drawn(tag, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // A button that opens the browser's choice of files, by mouse and by keyboard.
  function chooser(text, use, { label = text, multiple = false, accept = "image/*", key = text } = {}) {
    const input = element("input", { type: "file", multiple, accept, aria: { label }, data: { key } });
    input.addEventListener("change", () => {
      use([...input.files]);
      input.value = ""; // the same file can be chosen again
    });
    return element("label", { className: "button" }, text, input);
  }

  // Let files be dropped on an element.
  function takeDrops(target, use) {
    const over = (yes) => target.classList.toggle("over", yes);
    target.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
    target.addEventListener("dragleave", () => over(false));
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      use([...event.dataTransfer.files]);
    });
  }

  // Let the page draw, and take clicks, before going on.
  const pause = () => new Promise((done) => setTimeout(done));

  // Returns a function to await inside a long loop: it pauses as often as frames need it.
  function breather(milliseconds = 12) {
    let since = performance.now();
    return async () => {
      if (performance.now() - since < milliseconds) return;
      await pause();
      since = performance.now();
    };
  }

  Object.assign(Teach, { element, drawn, chooser, takeDrops, pause, breather });
})();
