// A session that ends in the middle of typing: the page stays under a dialog, and goes on after signing in.
(() => {
  const slot = () => document.getElementById("sign-in-slot");
  let cameFrom = null;

  const close = () => {
    slot()?.querySelector("dialog")?.close();
    if (cameFrom?.isConnected) cameFrom.focus();
    cameFrom = null;
  };

  // One dialog is enough, however many answers say that the session is over; what asks by itself shows none.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (xhr.status !== 401 || !slot()) return;
    const asker = requestConfig.elt;
    const waits = slot().querySelector("dialog") && !asker.closest("#sign-in-slot");
    if (waits || asker.closest("[data-live]")) event.detail.shouldSwap = false;
    else cameFrom ??= document.activeElement;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "sign-in-slot") return;
    const dialog = slot().querySelector("dialog");
    if (!dialog) return;
    dialog.addEventListener("cancel", close);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-closes-sign-in]")) close();
  });

  // The forms of the page were made for the session that ended.
  document.addEventListener("signed-in", (event) => {
    for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = event.detail.token;
    close();
  });

  // What is shown once isn't shown again by going back.
  addEventListener("pagehide", () => {
    for (const once of document.querySelectorAll("[data-once]")) once.remove();
  });
})();
