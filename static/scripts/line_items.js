// Adding lines: what the line comes to while it is typed, rows pasted into it, and a search that follows the bill.
(() => {
  // The server's grammar for decimals. BigInt multiplies exactly; the server's own figure is what counts.
  const DECIMAL = /^(?:0|[1-9][0-9]{0,12})(?:\.([0-9]{1,12}))?$/;

  const product = (quantity, price) => {
    const factors = [quantity.trim(), price.trim()].map((text) => [text, DECIMAL.exec(text)]);
    if (factors.some(([, match]) => !match)) return "";
    const places = factors.reduce((sum, [, match]) => sum + (match[1] ?? "").length, 0);
    const digits = factors.reduce((value, [text]) => value * BigInt(text.replace(".", "")), 1n).toString();
    const padded = digits.padStart(places + 1, "0");
    const whole = padded.slice(0, padded.length - places).replace(/\B(?=(\d{3})+$)/g, ",");
    const decimals = padded.slice(padded.length - places).replace(/0+$/, "");
    return decimals ? `${whole}.${decimals}` : whole;
  };

  const showProduct = () => {
    const output = document.getElementById("add-total");
    if (!output) return;
    const [quantity, price] = ["add-quantity", "add-unit-price"].map((id) => document.getElementById(id).value);
    output.value = product(quantity, price);
  };
  document.addEventListener("input", (event) => {
    if (event.target.closest("#add-row")) showProduct();
  });
  document.addEventListener("htmx:afterSettle", showProduct);
  showProduct();

  // Enter adds the line from every field; browsers leave lists out.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "add-currency") return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });

  // Rows copied from a spreadsheet don't fit into one field: they go where rows are pasted.
  document.addEventListener("paste", (event) => {
    const opener = document.getElementById("paste-lines");
    if (!opener || !event.target.closest("#add-row")) return;
    const text = event.clipboardData.getData("text/plain").trim();
    if (!/[\t\n]/.test(text)) return;
    event.preventDefault();
    const token = document.querySelector("#add-row [name=csrf_token]").value;
    const values = { text, currency: "", csrf_token: token, idempotency_key: "preview" };
    htmx.ajax("POST", opener.dataset.preview, { source: opener, target: "#dialog-slot", values });
  });

  // What is searched for among the lines is searched again once there are others: at most so often, and not by every
  // open page at the same moment.
  const SEARCH_EVERY_MS = 1000;
  let searchedAt = 0, search = 0;
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (!event.detail.target.id.endsWith("-item-count") || !document.getElementById("filter-lines")?.value) return;
    const soonest = Math.max(0, searchedAt + SEARCH_EVERY_MS - Date.now());
    search ||= setTimeout(() => {
      search = 0;
      searchedAt = Date.now();
      htmx.trigger(document.body, "bill:lines-changed");
    }, soonest + (soonest && Math.random() * SEARCH_EVERY_MS));
  });
})();
