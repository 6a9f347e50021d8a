// The command palette: opened from anywhere, found by the server, walked with the arrows.
(() => {
  const palette = () => document.getElementById("palette");
  const words = () => document.getElementById("palette-words");
  const results = () => document.getElementById("palette-results");
  const options = () => [...results().querySelectorAll("[role=option]")];
  const selected = () => results().querySelector("[aria-selected=true]");
  let goes = false;

  const select = (option) => {
    selected()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    words().setAttribute("aria-expanded", String(Boolean(option)));
    if (option) words().setAttribute("aria-activedescendant", option.id);
    else words().removeAttribute("aria-activedescendant");
  };

  const step = (by) => {
    const all = options();
    if (all.length) select(all[(all.indexOf(selected()) + by + all.length) % all.length]);
  };

  const open = () => {
    if (!palette() || palette().open) return;
    goes = false;
    palette().showModal();
    words().select();
    htmx.trigger(words(), "opened");
  };

  // Enter is meant for what the words find, even when that is still on its way.
  const go = () => {
    const shown = results().firstElementChild?.dataset.words;
    const wanted = words().value.trim().split(/\s+/).join(" ");
    if (shown === wanted) selected()?.click();
    else goes = true;
  };

  const failed = (is) => (document.getElementById("palette-failed").hidden = !is);

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-opens-palette]")) open();
    if (event.target === palette()) palette().close(); // beside it
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      if (!palette()) return;
      event.preventDefault();
      if (palette().open) palette().close();
      else open();
    } else if (event.target === words() && !event.isComposing && words()) {
      const act = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: go }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    }
  });

  document.addEventListener("input", (event) => {
    if (event.target === words()) goes = false;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== results()) return;
    failed(false);
    select(options()[0]);
    document.getElementById("palette-said").textContent = results().firstElementChild.dataset.said;
    if (goes) go();
  });

  // What can't be found just now is said in the palette, not behind it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt !== words() || event.detail.xhr.status < 400) return;
    event.detail.shouldSwap = false;
    failed(true);
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (event.detail.elt === words()) failed(true);
    });
  }
})();
