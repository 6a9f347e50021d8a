// Rows of a list by keyboard, and which of them are chosen. Without it, rows are links and boxes all the same.
(() => {
  const links = () => [...document.querySelectorAll("[data-rows] .row-link")];
  const boxes = () => [...document.querySelectorAll("[data-rows] td.pick input")];
  const isTyping = (element) => element.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");

  const step = (distance, from) => {
    const all = links();
    const here = all.indexOf(from.closest("tr")?.querySelector(".row-link"));
    const next = all[here < 0 ? (distance > 0 ? 0 : all.length - 1) : here + distance];
    next?.focus();
    next?.closest("tr").scrollIntoView({ block: "nearest" });
    return Boolean(next);
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const inRow = event.target.closest("[data-rows] tbody tr");
    const letters = localStorage.getItem("single-keys") === "off" ? {} : { j: 1, k: -1 };
    const distance = { ...letters, ...(inRow && { ArrowDown: 1, ArrowUp: -1 }) }[event.key];
    if (distance && step(distance, event.target)) event.preventDefault();
    if (event.key === "x" && letters.j) inRow?.querySelector("td.pick input")?.click();
  });

  // How many are chosen is said beside what can be done with them.
  const count = () => {
    const all = boxes();
    const chosen = all.filter((box) => box.checked).length;
    const heading = document.querySelector("[data-picks-all]");
    if (heading) {
      heading.checked = chosen > 0 && chosen === all.length;
      heading.indeterminate = chosen > 0 && chosen < all.length;
    }
    const said = document.querySelector(".picked-count");
    if (said) said.textContent = chosen ? `${chosen} selected` : "";
    for (const one of document.querySelectorAll("[data-picks-one]")) one.hidden = chosen !== 1;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-picks-all]")) for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.closest("[data-rows]")) count();
  });
  document.addEventListener("htmx:afterSettle", count);
  // Browsers keep what was chosen when one goes back.
  window.addEventListener("pageshow", count);

  // What dropped down goes away again.
  const close = (drop) => { drop.open = false; };
  document.addEventListener("click", (event) => {
    for (const drop of document.querySelectorAll(".drop[open]")) if (!drop.contains(event.target)) close(drop);
  });
  document.addEventListener("keydown", (event) => {
    const drop = event.key === "Escape" && event.target.closest(".drop[open]");
    if (!drop) return;
    close(drop);
    drop.querySelector("summary").focus();
  });
})();
