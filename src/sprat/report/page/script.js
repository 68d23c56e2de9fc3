"use strict";
// Sorting by a click on a column's head, and read-outs under the pointer. The page is complete without either.
for (const table of document.querySelectorAll("table.sort")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
      const numeric = [...body.rows].every((row) => key(row) === "" || Number.isFinite(Number(key(row))));
      const down = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && !numeric) ? 1 : -1;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
      const order = numeric ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b));
      body.append(...[...body.rows].sort((a, b) => down * order(a, b)));
    });
  });
}
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const chart of document.querySelectorAll("svg.chart")) {
  const title = chart.querySelector(":scope > title");
  if (title) {
    chart.setAttribute("aria-label", title.textContent);
    chart.setAttribute("aria-describedby", chart.getAttribute("aria-labelledby").split(" ")[1]);
    chart.removeAttribute("aria-labelledby");
    title.remove(); // or the browser shows it over our read-out
  }
}
for (const mark of document.querySelectorAll(".mark")) {
  const title = mark.querySelector(":scope > title");
  mark.dataset.tip = title.textContent;
  title.remove();
}
addEventListener("pointermove", (event) => show(event));
addEventListener("pointerdown", (event) => show(event));
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
function show(event) {
  const mark = event.target instanceof Element ? event.target.closest(".mark") : null;
  tip.hidden = mark === null;
  if (mark === null) return;
  if (tip.textContent !== mark.dataset.tip) tip.textContent = mark.dataset.tip;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18}px`;
}
