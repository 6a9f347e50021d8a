// Where nobody has chosen a time zone yet, the browser's own is the likeliest.
(() => {
  const select = document.querySelector("select[data-guesses-zone]");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!select || ![...select.options].some((option) => option.value === own)) return;
  document.addEventListener("DOMContentLoaded", () => {
    if (select.value === own) return;
    select.value = own;
    select.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
