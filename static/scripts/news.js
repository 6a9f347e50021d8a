// What a bill's stream says, put on the page that shows the bill: the console's and the customer's alike.
(() => {
  // Requests that say what the page shows, and will bring what it lacks: what the stream says waits for them.
  const asked = new Set();
  let waiting = [], page = null;
  const field = (name) => page.element().querySelector(`[name=${name}]`);

  document.addEventListener("htmx:beforeSend", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (!requestConfig.formData?.has("seen")) return;
    asked.add(xhr);
    xhr.addEventListener("loadend", () => {
      asked.delete(xhr);
      setTimeout(takeUp);
    });
  });

  function takeUp() {
    const said = waiting;
    waiting = [];
    said.forEach(hear);
  }

  // Each word of it says to what it leads; news, from what too. A page that shows something else asks.
  function hear(said) {
    if (!page.element()) return;
    if (asked.size) return waiting.push(said);
    const seen = field("seen").value;
    if (said.seen === seen || said.version < Number(field("version").value)) return;
    field("told").value = said.told;
    if (said.from === seen && "html" in said) page.put(() => swap(said.html));
    else page.ask(Math.random() * (said.within ?? 0));
  }

  function swap(html) {
    const target = page.element();
    const quietly = { swapStyle: "none", swapDelay: 0, settleDelay: 0 };
    htmx.swap(target, placed(html), quietly, { eventInfo: { target } });
  }

  // A piece without a place is of a line that this page doesn't show.
  function placed(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    for (const piece of holder.content.querySelectorAll("template")) {
      const { id } = piece.content.firstElementChild;
      if (id && !document.getElementById(id)) piece.remove();
    }
    return holder.innerHTML;
  }

  // `follower` has the element that follows, and how to ask (some milliseconds from now) and to put what came.
  window.billNews = (follower) => {
    page = follower;
    return {
      open(address) {
        const stream = new EventSource(address);
        for (const kind of ["alive", "news"]) {
          stream.addEventListener(kind, (event) => {
            follower.heard();
            if (event.data) hear(JSON.parse(event.data));
          });
        }
        return stream;
      },
    };
  };
})();
