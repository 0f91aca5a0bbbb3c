// Nodes as they change: what a node says is put where the page has a place for it. A browser that was cut off asks again by itself,
// from where it was; what it is refused for good it does not ask again, and says so.

const show = (name, shown) => {
  document.querySelector(`#${name}`).hidden = !shown;
};

const stream = new EventSource("/console/events");
stream.addEventListener("open", () => {
  show("live", true);
  show("cut", false);
});
stream.addEventListener("error", () => {
  show("live", false);
  show("cut", stream.readyState !== EventSource.CLOSED);
  show("lost", stream.readyState === EventSource.CLOSED);
});
stream.addEventListener("node", ({ data }) => {
  const said = JSON.parse(data);
  const all = [...document.querySelectorAll("[data-node]")];
  const node = all.find(({ dataset }) => dataset.node === said.id);
  // a page about one node, or with a place for one more only after it is loaded
  if (node === undefined) return show("more", document.querySelector("[data-all]") !== null);
  for (const place of node.querySelectorAll("[data-is]")) {
    const text = String(said[place.dataset.is]);
    if (place.textContent !== text) place.textContent = text;
  }
});
