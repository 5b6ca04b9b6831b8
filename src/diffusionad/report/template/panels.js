// The panels that follow the threshold: counts, counts per shift, lines in the charts, rows of the table.
const panels = (() => {
  const { content } = judge;
  const find = (id) => document.getElementById(id);
  const slider = find("cut"), field = find("cut-number"), back = find("cut-back");
  const shift = find("shift"), defective = find("defective");
  const listeners = [];
  let cut = content.threshold;

  const say = (id, [hits, of]) => {
    const place = find(id);
    if (!place || !of) return;
    place.querySelector(".hits").textContent = hits;
    const [low, high] = judge.range(hits, of);
    place.querySelector(".rate").textContent =
      judge.percent(hits / of) + ", true rate " + judge.percent(low) + " to " + judge.percent(high) + " (95 % sure)";
  };
  const whole = (input, most) => Math.min(most, Math.max(0, Math.round(Number(input.value) || 0)));
  const sayShift = (counts) => {
    const parts = whole(shift, 1e7), bad = Math.min(parts, whole(defective, parts));
    const line = ([hits, of], number, what) => {
      if (!of) return what + ": not measured";
      const [low, high] = judge.range(hits, of);
      const round = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));
      return round(hits / of * number) + " " + what + " (" + round(low * number) + " to " + round(high * number) + ")";
    };
    find("shift-overkill").textContent = line(counts.overkill, parts - bad, "good parts rejected");
    find("shift-escapes").textContent = line(counts.escapes, bad, "defective parts passed");
  };
  const mark = (counts) => {
    const line = find("cut-line");
    if (line) {
      const frame = line.ownerSVGElement.dataset, x = Number(frame.left) + (frame.right - frame.left) * Math.min(1, cut / content.end);
      line.setAttribute("x1", x); line.setAttribute("x2", x);
      const far = x > frame.width / 2, text = find("cut-text");
      text.setAttribute("x", x + (far ? -6 : 6));
      text.classList.toggle("far", far);
    }
    const dot = find("cut-dot");
    if (dot && counts.overkill[1] && counts.escapes[1]) {
      const frame = dot.ownerSVGElement.dataset;
      dot.setAttribute("cx", Number(frame.left) + (frame.right - frame.left) * counts.overkill[0] / counts.overkill[1]);
      dot.setAttribute("cy", frame.bottom - (frame.bottom - frame.top) * (1 - counts.escapes[0] / counts.escapes[1]));
    }
    for (const cell of document.querySelectorAll("td[data-kind]")) {
      const missed = counts.missed[cell.dataset.kind];
      cell.textContent = missed ?? "not measured";
      cell.classList.toggle("alarm", missed > 0);
    }
  };
  const show = () => {
    if (cut === null) return;
    const counts = judge.counts(cut);
    find("promise").textContent = judge.promise(cut);
    find("promise").classList.toggle("moved", !judge.stored(cut));
    if (document.activeElement !== field) field.value = Number(cut.toFixed(4));
    slider.value = cut;
    slider.setAttribute("aria-valuetext", "threshold " + cut.toFixed(4));
    back.disabled = judge.stored(cut);
    say("overkill", counts.overkill);
    say("escapes", counts.escapes);
    sayShift(counts);
    mark(counts);
    for (const listener of listeners) listener();
  };
  const move = (value) => {
    if (!Number.isFinite(value)) return;
    cut = Math.min(1, Math.max(0, value));
    show();
  };
  if (slider) {
    let waiting = 0;
    slider.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => move(Number(slider.value))); });
    field.addEventListener("change", () => move(Number(field.value)));
    back.addEventListener("click", () => { cut = content.threshold; field.blur(); show(); });
    for (const input of [shift, defective]) input.addEventListener("input", () => sayShift(judge.counts(cut)));
  }
  return { cut: () => cut, follow: (listener) => listeners.push(listener), show };
})();
