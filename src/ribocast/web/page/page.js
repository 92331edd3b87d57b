// Says the substitution under the pointer, or the one that the arrow keys went to.
(() => {
  const show = (cell) => {
    const figure = cell.closest("figure");
    figure.querySelectorAll(".rc-at").forEach((other) => other.classList.remove("rc-at"));
    cell.classList.add("rc-at");
    figure.querySelector(".rc-tip").textContent = cell.dataset.tip;
  };
  document.addEventListener("pointerover", (event) => {
    const cell = event.target.closest?.("[data-tip]");
    if (cell) show(cell);
  });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    const map = event.target.closest?.(".rc-heat"), step = steps[event.key];
    if (!map || !step) return;
    event.preventDefault();
    const at = map.querySelector(".rc-at");
    const [x, y] = at ? [+at.dataset.x + step[0], +at.dataset.y + step[1]] : [0, 0];
    const next = map.querySelector(`[data-x="${x}"][data-y="${y}"]`);
    if (!next) return;
    show(next);
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  // Gradio reads its page's language from nowhere; readers' software needs it.
  document.documentElement.lang = "en";
})();
