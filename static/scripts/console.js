// What attributes can't say: the modal dialog, the hidden tab, the search key. Pages work without it.
(() => {
  const root = document.documentElement;
  const slot = () => document.getElementById("dialog-slot");
  root.classList.add("scripted");

  // A dialog that htmx brought becomes modal: focus stays inside it, Escape closes it.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog-slot") return;
    const dialog = slot().querySelector("dialog");
    if (!dialog) return;
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  });

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("[data-closes-dialog]")?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });

  // Only what arrived last is marked as new.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (!event.detail.target.matches("tbody")) return;
    for (const row of event.detail.target.querySelectorAll(".fresh")) row.classList.remove("fresh");
  });

  // A tab that nobody looks at asks for nothing; it catches up when it is looked at again.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.matches("[data-live]")) event.preventDefault();
  });

  // "Live" is only said while it is true; that it isn't just now needs no other notice.
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt.matches("[data-live]")) root.classList.toggle("cut-off", !event.detail.successful);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt.matches("[data-live]") && event.detail.isError) event.detail.shouldSwap = false;
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog")) return;
    const search = document.getElementById("filter-q") ?? document.getElementById("search");
    if (!search) return;
    event.preventDefault();
    search.focus();
  });
})();
