"use strict";
(() => {
  const cards = document.getElementById("cards");
  if (cards) {
    const number = (card, name) => Number(card.dataset[name]) || 0;
    const nearest = (a, b) => number(a, "distance") - number(b, "distance");
    const orders = {
      distance: nearest,
      score: (a, b) => number(b, "score") - number(a, "score"),
      mistake: (a, b) => number(b, "mistake") - number(a, "mistake") || nearest(a, b),
    };
    const buttons = document.querySelectorAll("button[data-order]");
    for (const button of buttons) {
      button.addEventListener("click", () => {
        cards.append(...[...cards.children].sort(orders[button.dataset.order]));
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      });
    }
    const opacity = document.getElementById("opacity");
    const fade = () => cards.style.setProperty("--heat", opacity.value / 100);
    opacity.addEventListener("input", fade);
    fade();
    const large = document.getElementById("large");
    const widen = () => cards.classList.toggle("large", large.checked);
    large.addEventListener("change", widen);
    widen();
    cards.addEventListener("input", (event) => {
      const swipe = event.target.closest(".swipe");
      if (!swipe) return;
      swipe.style.setProperty("--swipe", event.target.value + "%");
      swipe.style.setProperty("--edge", "#fff");
    });
  }
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
