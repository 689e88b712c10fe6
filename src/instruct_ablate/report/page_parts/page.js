"use strict";
// Everything that comes from models and data is put in with textContent: it stays text.
const byId = (id) => document.getElementById(id);
const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// Theme.
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// Tables: sort by a heading, filter by columns and text.
const numberOf = (text) => { const found = /[-+]?\d+(\.\d+)?/.exec(text); return found ? parseFloat(found[0]) : NaN; };
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const numeric = heading.classList.contains("number");
      const key = (row) => row.cells[column].textContent;
      const compare = numeric
        ? (a, b) => (numberOf(key(a)) || 0) - (numberOf(key(b)) || 0)
        : (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
      const rows = [...body.rows].sort(compare);
      if (down) rows.reverse();
      body.append(...rows);
    });
  });
}
for (const filters of document.querySelectorAll(".filters[data-for]")) {
  const rows = [...byId(filters.dataset.for).tBodies[0].rows];
  const selects = [...filters.querySelectorAll("select")];
  const search = filters.querySelector("[data-search]");
  for (const select of selects) {
    const values = new Set(rows.map((row) => row.cells[select.dataset.column].textContent));
    for (const value of [...values].sort((a, b) => a.localeCompare(b, undefined, { numeric: true })))
      select.append(new Option(value, value));
  }
  const apply = () => {
    let left = 0;
    const wanted = search.value.toLowerCase();
    for (const row of rows) {
      const fits = selects.every((s) => !s.value || row.cells[s.dataset.column].textContent === s.value)
        && (!wanted || row.textContent.toLowerCase().includes(wanted));
      row.classList.toggle("hidden", !fits);
      left += fits;
    }
    filters.querySelector("[data-count]").textContent = `${left} of ${rows.length}`;
  };
  filters.addEventListener("input", apply);
  apply();
}

// The data: base64 of gzipped JSON, unpacked when the page has been painted.
async function unpack() {
  const bytes = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function startBrowser(data) {
  const { columns, tasks, texts } = data.browser;
  const task = byId("b-task"), filter = byId("b-filter"), search = byId("b-search"), shown = byId("b-instance");
  const name = (c) => `${c.model}, ${c.trained}${c.trained === "(untuned)" ? "" : `, budget ${c.budget}`}, seed ${c.seed}`
    + (c.tested === c.trained ? "" : `, tested on ${c.tested}`);
  for (const each of Object.keys(tasks).sort()) task.append(new Option(`${each} (${tasks[each].category})`, each));
  filter.append(new Option("all instances", ""));
  columns.forEach((a, i) => columns.forEach((b, j) => {
    if (i !== j && columns.length <= 12) filter.append(new Option(`${name(a)} right, ${name(b)} wrong`, `${i},${j}`));
  }));
  if (data.browser.shown < data.browser.total)
    byId("b-note").textContent = `${data.browser.shown} of ${data.browser.total} cells and test instructions have room here.`;
  let found = [], place = 0;
  const right = (answers, column) => answers.some((a) => a[0] === column && a[3] >= 1);
  const wrong = (answers, column) => answers.some((a) => a[0] === column && a[3] < 1);
  const choose = () => {
    const [yes, no] = filter.value.split(",").map(Number);
    const wanted = search.value.toLowerCase();
    found = Object.entries(tasks[task.value] ? tasks[task.value].instances : {}).filter(([id, one]) =>
      (!filter.value || (right(one.answers, yes) && wrong(one.answers, no)))
      && (!wanted || id.toLowerCase().includes(wanted)
        || one.answers.some((a) => texts[a[1]].toLowerCase().includes(wanted) || texts[a[2]].toLowerCase().includes(wanted))));
    place = 0;
    show();
  };
  const show = () => {
    shown.replaceChildren();
    byId("b-place").textContent = found.length ? `${place + 1} of ${found.length}` : "no instance fits";
    if (!found.length) return;
    const [id, one] = found[place];
    shown.append(element("p", "quiet", id), element("p", "", `references: ${one.references.join(" | ")}`));
    const answers = element("div", "answers");
    for (const [column, prompt, text, exact, rouge] of one.answers) {
      const card = element("div", "answer");
      card.append(element("h3", "", name(columns[column])));
      const good = exact >= 1;
      card.append(element("p", `said ${good ? "right" : "wrong"}`, `${good ? "✓" : "✗"} ${texts[text] || "(nothing)"}`));
      card.append(element("p", "quiet", `exact match ${exact}, ROUGE-L ${rouge}`));
      const details = element("details"), summary = element("summary", "quiet", "prompt");
      details.open = innerWidth > 700;
      details.append(summary, element("pre", "", texts[prompt]));
      card.append(details);
      answers.append(card);
    }
    shown.append(answers);
  };
  const go = (by) => { if (found.length) { place = (place + by + found.length) % found.length; show(); } };
  for (const input of [task, filter, search]) input.addEventListener("input", choose);
  byId("b-before").addEventListener("click", () => go(-1));
  byId("b-next").addEventListener("click", () => go(1));
  shown.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
  choose();
  document.body.dataset.ready = "yes";
}

const unpacked = new Promise((done) => requestAnimationFrame(() => setTimeout(() => unpack().then(done), 0)));
unpacked.then(startBrowser);

// The interactive figure; plotly is read after the rest of the page.
window.drawPlot = () => unpacked.then((data) => {
  if (!window.Plotly || !data.plot.data.length) return;
  byId("plot").replaceChildren(element("span", "quiet", " "));
  data.plot.layout.paper_bgcolor = data.plot.layout.plot_bgcolor = "rgba(0,0,0,0)";
  data.plot.layout.font = { color: getComputedStyle(document.body).color };
  Plotly.newPlot("plot", data.plot.data, data.plot.layout, { responsive: true, displaylogo: false });
  document.body.dataset.drawn = "yes";
});
