// A request that never arrived, or that was refused as a whole, is said where somebody looks: above the page, or in the
// dialog that covers it. What was typed stays as it is.
(() => {
  const dialog = () => document.querySelector("dialog:modal");
  // These ask by themselves, or say it themselves.
  const heeded = (element) => !element.closest("#palette, [data-live], [hx-trigger*=every]");

  const forget = () => { for (const said of document.querySelectorAll("[data-unsent]")) said.remove(); };
  const tell = (notice) => {
    forget();
    notice.dataset.unsent = "";
    (dialog() ?? document.getElementById("notices")).prepend(notice);
  };

  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => {
      const notice = document.getElementById("unsent");
      if (notice && heeded(event.detail.elt)) tell(notice.content.firstElementChild.cloneNode(true));
    });
  }
  document.addEventListener("htmx:afterOnLoad", (event) => { if (heeded(event.detail.elt)) forget(); });

  document.addEventListener("htmx:afterSwap", (event) => {
    const notices = event.detail.target;
    if (notices.id === "notices" && dialog() && notices.firstElementChild) tell(notices.firstElementChild);
  });
})();
