// Looks for what was typed in the sections, terms and functions of the book (parts.js), by MiniSearch.
(() => {
  "use strict";
  const LONGEST = 220; // characters of an excerpt
  const MOST = 30; // results

  const input = document.getElementById("book-search");
  const status = document.getElementById("book-search-status");
  const list = document.getElementById("book-search-results");
  const parts = window.PARTS.map((part, id) => ({ ...part, id }));
  const search = new MiniSearch({ fields: ["title", "text"], storeFields: ["id"] });
  search.addAll(parts);

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // The text with every word that starts like one of the terms marked.
  function marked(text, terms) {
    const made = element("p");
    const escaped = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pieces = text.split(new RegExp(`(?<![\\p{L}\\p{N}])(${escaped.join("|")})`, "iu"));
    pieces.forEach((piece, i) => made.append(i % 2 ? element("mark", piece) : piece));
    return made;
  }

  function excerpt(text, terms) {
    const lower = text.toLowerCase();
    const places = terms.map((term) => lower.indexOf(term)).filter((place) => place >= 0);
    const first = places.length ? Math.min(...places) : 0;
    const start = first < LONGEST / 2 ? 0 : text.indexOf(" ", first - LONGEST / 3) + 1;
    const end = start + LONGEST < text.length ? text.lastIndexOf(" ", start + LONGEST) : text.length;
    const cut = text.slice(start, end);
    return marked((start ? "… " : "") + cut + (end < text.length ? " …" : ""), terms);
  }

  function show() {
    const asked = input.value.trim();
    history.replaceState(null, "", asked ? `?q=${encodeURIComponent(asked)}` : location.pathname);
    list.replaceChildren();
    if (!asked) {
      status.textContent = "";
      return;
    }
    const options = { prefix: (term) => term.length > 2, fuzzy: (term) => (term.length > 5 ? 0.15 : 0) };
    options.boost = { title: 5 };
    options.boostDocument = (id) => (parts[id].url.startsWith("notebooks/") ? 1.5 : 1);
    let found = search.search(asked, { ...options, combineWith: "AND" });
    if (!found.length) found = search.search(asked, options);
    status.textContent = !found.length
      ? `Nothing in the book has “${asked}”.`
      : found.length > MOST ? `The best ${MOST} of ${found.length} places.`
        : found.length === 1 ? "One place." : `${found.length} places.`;
    for (const result of found.slice(0, MOST)) {
      const part = parts[result.id];
      const item = element("li");
      const link = element("a", part.title);
      link.href = part.url;
      item.append(link, element("span", part.title === part.page ? "" : part.page, "page"));
      if (part.text) item.append(excerpt(part.text, result.terms));
      list.append(item);
    }
  }

  input.value = (new URLSearchParams(location.search).get("q") || "").slice(0, input.maxLength);
  input.addEventListener("input", show);
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  show();
  input.focus();
})();
