// What is typed shows in the preview as it is typed; the chosen picture too, before it is sent.
(() => {
  const shown = (name) => document.querySelector(`[data-preview="${name}"]`);

  const reveal = (place) => {
    for (let part = place; part?.closest(".letterhead"); part = part.parentElement) part.hidden = false;
  };

  const showPicture = (input) => {
    const [file] = input.files;
    const picture = shown("logo");
    if (!picture || !file || !input.accept.split(",").includes(file.type)) return;
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      picture.src = reader.result;
      reveal(picture);
    });
    reader.readAsDataURL(file);
  };

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.form?.matches("[data-previewed]")) return;
    if (field.type === "file") return showPicture(field);
    const place = shown(field.name);
    if (!place) return;
    place.textContent = field.value;
    reveal(place);
  });
})();
