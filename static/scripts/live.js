// An open page follows what it shows. A stream brings what changed; without one, or when it says more than the page can
// use, the page asks. htmx asks, by the hx-get of the element with data-live, and whatever comes is put in place alike:
// kept nodes stay, changed ones are marked.
(() => {
  const root = document.documentElement;
  const WATCH_MS = 5000, SILENT_MS = 13000, REFUSED_MS = 20000;
  const element = document.querySelector("[data-live]");
  const ours = (event) => event.detail.elt === element;
  // A bill that has closed is followed no more.
  const isLive = () => element?.matches("[data-live]");

  let stream = null, streamed = "", timer = 0, failures = 0;
  let heardAt = 0, streamsAgainAt = 0;
  let owed = false;

  // Asking

  function ask() {
    if (!isLive() || document.hidden) return;
    owed = true;
    htmx.trigger(element, "live");
  }

  function follow() {
    clearTimeout(timer);
    if (!isLive() || document.hidden) return hangUp();
    if (stream && streamed !== address()) hangUp();
    if (!failures) connect();
    const every = Number(element.dataset.every);
    timer = setTimeout(look, failures ? Math.min(every * 2 ** failures, 8000) : stream ? WATCH_MS : every);
  }

  // A stream that is open may be dead.
  function look() {
    if (stream && Date.now() - heardAt > SILENT_MS) hangUp();
    if (!stream) ask();
    follow();
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    // A tab that nobody looks at asks for nothing; it catches up when it is looked at again.
    if (document.hidden && (ours(event) || event.detail.elt.matches("[hx-trigger*=every]"))) return event.preventDefault();
    if (!ours(event)) return;
    owed = false;
  });

  // Gave way to another request, or to one that had begun before the news: asked once that is done.
  document.addEventListener("htmx:afterRequest", () => setTimeout(() => {
    if (owed) ask();
    // The page is shown in another currency now.
    if (stream && streamed !== address()) follow();
  }));
  document.addEventListener("htmx:sendAbort", (event) => { if (ours(event)) owed = true; });

  // Saying how it stands

  function say(state) {
    const before = root.dataset.following;
    if (before === state) return;
    root.dataset.following = state;
    const said = document.getElementById("live-said");
    if (said && state === "lost") said.textContent = said.dataset.lost;
    if (said && state === "on" && before === "lost") said.textContent = said.dataset.back;
    document.getElementById("live-ended-notice")?.remove();
    const ended = document.getElementById("live-ended");
    if (ended && state === "ended") document.getElementById("notices").append(ended.content.cloneNode(true));
  }

  function answered(state) {
    failures = state === "on" ? 0 : failures + 1;
    if (state !== "on") hangUp();
    if (isLive()) say(state);
    else delete root.dataset.following;
    follow();
  }

  // What was typed would be lost on the way to the sign-in page.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (!ours(event) || event.detail.xhr.status < 400) return;
    event.preventDefault();
    answered(event.detail.xhr.status === 401 ? "ended" : "lost");
  });
  document.addEventListener("htmx:afterOnLoad", (event) => {
    if (ours(event) && event.detail.xhr.status < 400) answered("on");
  });
  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => { if (ours(event)) answered("lost"); });
  }

  // The stream

  const news = window.billNews({
    element: () => (isLive() ? element : null),
    heard() {
      heardAt = Date.now();
      answered("on");
    },
    put(swap) {
      holdPlace();
      swap();
      keepPlace();
      answered("on");
    },
    ask: (withinMs) => setTimeout(ask, withinMs),
  });

  function address() {
    return `${element.dataset.stream}?currency=${document.getElementById("shown-currency")?.value ?? ""}`;
  }

  function connect() {
    if (stream || Date.now() < streamsAgainAt) return;
    streamed = address();
    stream = news.open(streamed);
    heardAt = Date.now();
    // Whether the page is cut off, the next question shows; a stream that is refused is tried again later.
    stream.addEventListener("error", () => {
      streamsAgainAt = Date.now() + (stream.readyState === EventSource.CLOSED ? REFUSED_MS : 1000);
      hangUp();
      ask();
    });
  }

  function hangUp() {
    stream?.close();
    stream = null;
  }

  document.addEventListener("visibilitychange", () => {
    ask();
    follow();
  });
  for (const change of ["online", "offline", "signed-in"]) window.addEventListener(change, ask);
  window.addEventListener("pagehide", hangUp);
  follow();

  // Putting in place

  // Nodes that stay are kept, with their focus, their selection and what is open in them.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    const fresh = fragment.nodeType === Node.DOCUMENT_FRAGMENT_NODE ? fragment.firstElementChild : null;
    if (fresh && fresh.id === target.id) {
      morph(target, fresh);
      htmx.process(target);
      event.detail.shouldSwap = false;
    } else if (target.matches("tbody")) {
      // Only what arrived last is marked as new.
      for (const row of target.querySelectorAll(".fresh")) row.classList.remove("fresh");
    } else {
      for (const child of fragment.children) {
        // What the answer to a form brought already comes once more.
        if (child.id) document.getElementById(child.id)?.remove();
        child.classList.add("changed");
      }
    }
  });

  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      const read = old.data.trim() !== fresh.data.trim();
      old.data = fresh.data;
      return read && mark(old.parentElement);
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    let next = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const kept = wanted.id ? [...old.children].find((child) => child.id === wanted.id) : next;
      if (kept && kept.nodeName === wanted.nodeName && (kept.id ?? "") === (wanted.id ?? "")) {
        if (kept === next) next = next.nextSibling;
        else old.insertBefore(kept, next);
        morph(kept, wanted);
      } else {
        old.insertBefore(wanted, next);
        if (wanted.nodeType === Node.ELEMENT_NODE) mark(wanted);
      }
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  }

  // What only ages isn't news.
  function mark(element) {
    if (element.closest("[data-ages], progress")) return;
    (element.closest(".money, .status, dd") ?? element).classList.add("changed");
  }

  document.addEventListener("animationend", (event) => {
    if (event.animationName === "changed") event.target.classList.remove("changed");
  });

  // Keeping the place

  // What the pointer or the keyboard was at last stays where it is on the screen, else what is topmost.
  let looked = null, place = null;
  for (const type of ["pointermove", "pointerdown"]) {
    document.addEventListener(type, (event) => { looked = event.target; }, { passive: true });
  }
  for (const type of ["keydown", "focusin"]) document.addEventListener(type, () => { looked = document.activeElement; });
  root.addEventListener("pointerleave", () => { looked = null; });

  function seen(node) {
    if (!node?.isConnected || node === document.body || node === root) return false;
    const box = node.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig?.elt === element) holdPlace();
  });
  document.addEventListener("htmx:afterRequest", keepPlace);

  function holdPlace() {
    const main = document.getElementById("main").getBoundingClientRect();
    const held = seen(looked) ? looked : document.elementFromPoint(main.left + main.width / 4, 8);
    place = held && { held, top: held.getBoundingClientRect().top };
  }

  function keepPlace() {
    if (place?.held.isConnected) {
      const moved = Math.round(place.held.getBoundingClientRect().top - place.top);
      const lacking = scrollY + moved - (root.scrollHeight - innerHeight);
      const main = document.getElementById("main");
      if (moved > 0 && lacking > 0) main.style.minHeight = `${main.offsetHeight + lacking}px`;
      if (moved) scrollBy({ top: moved, behavior: "instant" });
    }
    place = null;
  }
})();
