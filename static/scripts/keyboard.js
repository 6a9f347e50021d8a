// Keys that lead somewhere: the page's own list of links says which and where. They rest while somebody types.
(() => {
  const PAUSE_MS = 1000;
  const TYPING = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
  const STORED = "single-keys";
  let before = "";
  let forget;

  const rest = (event) =>
    event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat ||
    event.key.length !== 1 || event.target.closest(TYPING) || document.querySelector("dialog:modal") ||
    localStorage.getItem(STORED) === "off";

  const linkFor = (keys) => document.querySelector(`#keys [data-keys="${CSS.escape(keys)}"]`);
  const begins = (keys) => document.querySelector(`#keys [data-keys^="${CSS.escape(keys)} "]`);

  const search = () => {
    const field = [...document.querySelectorAll("main input[type=search]")].find((input) => input.checkVisibility());
    if (!field) return document.querySelector("[data-opens-palette]")?.click();
    field.focus();
    field.select();
  };

  document.addEventListener("keydown", (event) => {
    if (rest(event)) return;
    const keys = before ? `${before} ${event.key}` : event.key;
    clearTimeout(forget);
    before = begins(keys) ? keys : "";
    forget = setTimeout(() => (before = ""), PAUSE_MS);
    const link = linkFor(keys);
    if (!link && keys !== "/") return;
    event.preventDefault();
    if (link) link.click();
    else search();
  });

  // Speech input types single letters by mistake: whoever uses it can switch them off.
  const show = () => {
    for (const box of document.querySelectorAll("[data-single-keys]")) box.checked = localStorage.getItem(STORED) !== "off";
  };
  document.addEventListener("htmx:afterSwap", show);
  show();
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-single-keys]")) localStorage.setItem(STORED, event.target.checked ? "on" : "off");
  });
})();
