// A table that is wider than its page scrolls within itself: by keyboard, too, if it can have the focus.
(() => {
  "use strict";

  function letScroll() {
    for (const table of document.querySelectorAll(".bd-article table")) {
      if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
      else table.removeAttribute("tabindex");
    }
  }
  window.addEventListener("load", letScroll);
  window.addEventListener("resize", letScroll);
})();
