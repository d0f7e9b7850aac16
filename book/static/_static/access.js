// What the keyboard and assistive technology need beyond the theme.
(() => {
  "use strict";

  // A table or a block of code that is wider than its page scrolls within itself: by keyboard, too, if
  // it can have the focus.
  function letScroll() {
    for (const block of document.querySelectorAll(".bd-article :is(table, pre)")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  }

  // A button that opens a box is called as the box is, and not "Toggle hidden content".
  function nameButtons() {
    for (const button of document.querySelectorAll(".admonition-title > button.toggle-button")) {
      button.setAttribute("aria-label", button.parentElement.textContent.trim());
    }
  }

  // The column with the logo and the list of pages is a part of the page that has a name.
  function nameSidebar() {
    const sidebar = document.getElementById("pst-primary-sidebar");
    sidebar?.setAttribute("role", "region");
    sidebar?.setAttribute("aria-label", "Site");
  }
  window.addEventListener("load", () => {
    letScroll();
    nameSidebar();
    nameButtons();
  });
  window.addEventListener("resize", letScroll);
})();
