// An open bill follows what happens to it. The page is whole without this.
(() => {
  const POLL_MS = 7000;
  const AGAIN_MS = 60000;
  const AT_MOST_EVERY_MS = 900;
  const root = document.documentElement;
  const live = () => document.getElementById("live");
  const shown = () => new URLSearchParams({
    currency: document.getElementById("shown-currency").value,
    after: live().querySelector("[name=after]").value,
  });
  const address = () => live()?.dataset.stream && `${live().dataset.stream}?${shown()}`;
  let stream = null;
  let streamed = "";
  let waiting = null;
  root.classList.add("scripted");

  // However many changes come at once, the page asks about them together.
  const changed = (withinMs = 0) => {
    waiting ??= setTimeout(() => {
      waiting = null;
      if (!document.hidden && live()) htmx.trigger("#live", "bill:changed");
    }, AT_MOST_EVERY_MS + withinMs);
  };

  const news = window.billNews({
    element: () => (address() ? live() : null),
    heard: () => root.classList.remove("cut-off"),
    put: (swap) => swap(),
    ask: changed,
  });

  const hangUp = () => {
    stream?.close();
    stream = null;
  };

  const listen = () => {
    if (stream && streamed !== address()) hangUp();
    if (stream || document.hidden || !address()) return;
    streamed = address();
    stream = news.open(streamed);
    // Refused (too many watch this link), the page asks now and then; else the browser reconnects by itself.
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) hangUp();
    });
  };

  setInterval(() => {
    if (address() && !stream) changed();
  }, POLL_MS);
  // A stream that was refused may stand by now; one that is silent may be dead.
  setInterval(() => {
    if (!address()) return;
    changed();
    listen();
  }, AGAIN_MS);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hangUp();
    else if (address()) {
      listen();
      changed();
    }
  });
  window.addEventListener("pagehide", hangUp);
  window.addEventListener("pageshow", listen);

  document.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr.status;
    root.classList.toggle("cut-off", status < 200 || status > 299);
    // The link was revoked, or the bill is closed by now.
    if (status === 404) location.reload();
    // The bill is closed, or shown in another currency now.
    if (!address()) hangUp();
    else if (stream && streamed !== address()) listen();
  });
})();
