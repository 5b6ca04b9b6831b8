// The pictures: only those of one page of the list are in the document, however many there are.
(() => {
  const cards = document.getElementById("cards");
  if (!cards) { panels.show(); return; }
  const { content } = judge, mould = document.getElementById("card").content.firstElementChild;
  const find = (id) => document.getElementById(id);
  const kind = find("kind"), position = find("position"), previous = find("previous"), next = find("next");
  const PAGE = 12;
  let order = "distance", at = 0, shown = [];

  const distance = (row) => row.score === null ? 2 : content.threshold === null ? 1 - row.score : Math.abs(row.score - panels.cut());
  const wrong = (row) => judge.mistake(row, judge.verdict(row, panels.cut()));
  const orders = {
    distance: (a, b) => distance(a) - distance(b),
    score: (a, b) => b.score - a.score,
    mistake: (a, b) => Boolean(wrong(b)) - Boolean(wrong(a)) || distance(a) - distance(b),
  };
  const wanted = (row) => kind.value === "all" || (kind.value === "wrong" ? wrong(row) : row.defect === kind.value.slice(5));
  const sorted = () => {
    shown = content.rows.filter(wanted).sort(orders[order]);
    at = Math.min(at, Math.max(0, Math.ceil(shown.length / PAGE) - 1));
  };
  const fact = (list, name, text) => {
    const place = document.createElement("div"), title = document.createElement("dt"), value = document.createElement("dd");
    title.textContent = name; value.textContent = text;
    place.append(title, value); list.append(place);
  };
  const short = (value) => value < 0.001 ? value.toExponential(1) : value.toFixed(3);
  const pictures = (card, tile) => {
    for (const svg of card.querySelectorAll("svg")) svg.setAttribute("viewBox", "0 0 " + tile.size.join(" "));
    const sources = { picture: tile.picture, reconstruction: tile.reconstruction, heat: tile.heat, found: judge.stored(panels.cut()) ? tile.found_outline : null, true: tile.true_outline };
    for (const [name, source] of Object.entries(sources)) for (const image of card.querySelectorAll("image." + name)) {
      if (!source) { image.remove(); continue; }
      image.setAttribute("width", tile.size[0]); image.setAttribute("height", tile.size[1]); image.setAttribute("href", source);
    }
  };
  const draw = (row) => {
    const card = mould.cloneNode(true), said = judge.verdict(row, panels.cut()), mistake = judge.mistake(row, said);
    const get = (selector) => card.querySelector(selector);
    get(".path").textContent = row.path;
    card.classList.toggle("wrong", Boolean(mistake));
    if (mistake) get(".mistake").textContent = mistake; else get(".mistake").remove();
    get(".verdict").textContent = ({ good: "✓", anomalous: "✕" }[said] || "?") + " " + said;
    get(".verdict").classList.add({ good: "good", anomalous: "anomalous" }[said] || "review");
    const values = get(".values");
    fact(values, "Score", row.score === null ? "none" : row.score.toFixed(4));
    if (row.p !== null) fact(values, "p-value", short(row.p));
    fact(values, "True kind", row.defect);
    for (const [x, y, width, height, area, peak, p] of (row.regions || []).slice(0, 1))
      fact(values, "Strongest region", width + " × " + height + " px at " + x + ", " + y + "; area " + area + " px, peak " + peak.toFixed(2) + (p === null ? "" : ", p " + short(p)));
    if (row.tile) { pictures(card, row.tile); get(".thumbnail").remove(); }
    else {
      get(".views").remove();
      if (row.thumbnail) get(".thumbnail").src = row.thumbnail; else get(".thumbnail").remove();
    }
    if (row.neighbour !== undefined) {
      get(".neighbour span").textContent = "Nearest good training picture: " + row.neighbour;
      if (row.tile && row.tile.neighbour) get(".neighbour img").src = row.tile.neighbour; else get(".neighbour img").remove();
    } else get(".neighbour").remove();
    return card;
  };
  const show = () => {
    sorted();
    const first = at * PAGE, page = shown.slice(first, first + PAGE);
    cards.replaceChildren(...page.map(draw));
    position.textContent = shown.length ? (first + 1) + " to " + (first + page.length) + " of " + shown.length : "none";
    previous.disabled = at === 0;
    next.disabled = first + PAGE >= shown.length;
  };
  const turn = (step) => {
    const last = Math.max(0, Math.ceil(shown.length / PAGE) - 1);
    at = Math.min(last, Math.max(0, at + step));
    show();
  };
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "PageDown" && event.shiftKey || event.key === "n") { event.preventDefault(); turn(1); }
    if (event.key === "PageUp" && event.shiftKey || event.key === "p") { event.preventDefault(); turn(-1); }
  });
  kind.addEventListener("change", () => { at = 0; show(); });
  const buttons = document.querySelectorAll("button[data-order]");
  for (const button of buttons) button.addEventListener("click", () => {
    order = button.dataset.order; at = 0;
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    show();
  });
  const opacity = find("opacity"), fade = () => cards.style.setProperty("--heat", opacity.value / 100);
  opacity.addEventListener("input", fade);
  const large = find("large"), widen = () => cards.classList.toggle("large", large.checked);
  large.addEventListener("change", widen);
  cards.addEventListener("input", (event) => {
    const swipe = event.target.closest(".swipe");
    if (!swipe) return;
    swipe.style.setProperty("--swipe", event.target.value + "%");
    swipe.style.setProperty("--edge", "#fff");
  });
  fade(); widen();
  let waiting = 0;
  panels.follow(() => { clearTimeout(waiting); waiting = setTimeout(show, 60); });
  panels.show(); show();
  clearTimeout(waiting);
})();
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
