// The API's reference: what the document says, in the colours that the system asks for.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  const target = document.getElementById("reference");
  follow();
  dark.addEventListener("change", follow);
  window.SwaggerUIBundle({
    domNode: target,
    url: target.dataset.document,
    deepLinking: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    // Nothing is told to anybody else's server.
    validatorUrl: null,
  });
})();
