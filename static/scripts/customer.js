// An open bill follows what happens to it. The page is whole without this.
(() => {
  const POLL_MS = 7000;
  const CATCH_UP_MS = 60000;
  const AT_MOST_EVERY_MS = 900;
  const root = document.documentElement;
  const live = () => document.getElementById("live");
  const address = () => live()?.dataset.stream;
  let stream = null;
  let waiting = null;
  root.classList.add("scripted");

  // However many changes come at once, the page asks about them together.
  const changed = () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      if (!document.hidden && live()) htmx.trigger("#live", "bill:changed");
    }, AT_MOST_EVERY_MS);
  };

  const hangUp = () => {
    stream?.close();
    stream = null;
  };

  const listen = () => {
    if (stream || document.hidden || !address()) return;
    stream = new EventSource(address());
    stream.addEventListener("change", (event) => {
      live().querySelector("[name=told]").value = event.data;
      changed();
    });
    // Refused (too many watch this link), the page asks now and then; else the browser reconnects by itself.
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) hangUp();
    });
  };

  setInterval(() => {
    if (address() && !stream) changed();
  }, POLL_MS);
  // Rates change without the bill; and a stream that was refused may stand by now.
  setInterval(() => {
    if (!address()) return;
    changed();
    listen();
  }, CATCH_UP_MS);

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
    if (!address()) hangUp();
  });
})();
