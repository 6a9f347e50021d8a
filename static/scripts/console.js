// What attributes can't say: the modal dialog. Pages work without it.
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
})();
