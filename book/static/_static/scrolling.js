// A table or a block of code that is wider than its page scrolls within itself: by keyboard, too, if it
// can have the focus.
(() => {
  "use strict";

  function letScroll() {
    for (const block of document.querySelectorAll(".bd-article :is(table, pre)")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  }
  window.addEventListener("load", letScroll);
  window.addEventListener("resize", letScroll);
})();
