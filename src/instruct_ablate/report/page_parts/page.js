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

// A row of the main table leads to its cells: the table of cells is filtered by what both have.
const headings = (table) => [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
const mainColumns = headings(byId("main-table")), cellColumns = headings(byId("cells-table"));
for (const row of byId("main-table").tBodies[0].rows) {
  const last = row.cells[row.cells.length - 1];
  const button = element("button", "", last.textContent);
  button.type = "button";
  button.title = "show these cells";
  last.replaceChildren(button);
  button.addEventListener("click", () => {
    const filters = document.querySelector("#cells .filters");
    for (const select of filters.querySelectorAll("select")) {
      const shared = mainColumns.indexOf(cellColumns[select.dataset.column]);
      select.value = shared < 0 ? "" : row.cells[shared].textContent;
    }
    filters.dispatchEvent(new Event("input"));
    byId("cells").scrollIntoView();
  });
}

// The data: base64 of gzipped JSON, unpacked when the page has been painted.
async function unpack() {
  const bytes = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function startBrowser(data) {
  const { columns, metrics, tasks, texts, note } = data.browser;
  const [task, right, wrong, budget, search] = ["task", "right", "wrong", "budget", "search"].map((id) => byId(`b-${id}`));
  const shown = byId("b-instance");
  const models = new Set(columns.filter((c) => c.trained !== `(${c.model})`).map((c) => c.model));
  const name = (c) => (models.size > 1 && models.has(c.model) ? `${c.model}, ` : "") + c.trained
    + (c.place ? `, ${c.place}` : "") + (c.budget === 0 ? "" : `, budget ${c.budget}, seed ${c.seed}`)
    + (c.tested === c.trained || c.budget === 0 && c.tested === "original" ? "" : `, tested on ${c.tested}`);
  for (const each of Object.keys(tasks).sort()) task.append(new Option(`${each} (${tasks[each].category})`, each));
  if (Object.keys(tasks).length > 1) task.append(new Option("all tasks", ""));
  for (const select of [right, wrong]) {
    select.append(new Option("any", ""));
    columns.forEach((column, i) => select.append(new Option(name(column), i)));
  }
  const budgets = [...new Set(columns.map((c) => c.budget))].filter((b) => b > 0).sort((a, b) => a - b);
  budget.append(new Option("all", ""), ...budgets.map((b) => new Option(b, b)));
  byId("b-note").textContent = note;
  let found = [], place = 0;
  const exact = (one, column) => { const a = one.answers.find((each) => each[0] === column); return a ? a[3] : NaN; };
  const instances = () => (task.value ? [task.value] : Object.keys(tasks)).flatMap((name) =>
    Object.entries(tasks[name] ? tasks[name].instances : {}).map(([id, one]) => [name, id, one]));
  // Every text is searched once, however many answers share it.
  const matching = (wanted) => { const low = wanted.toLowerCase(); return texts.map((text) => text.toLowerCase().includes(low)); };
  const choose = () => {
    const yes = Number(right.value), no = Number(wrong.value), wanted = search.value;
    const hits = wanted ? matching(wanted) : [];
    found = instances().filter(([, id, one]) =>
      (right.value === "" || exact(one, yes) >= 1) && (wrong.value === "" || exact(one, no) < 1)
      && (!wanted || id.toLowerCase().includes(wanted.toLowerCase()) || one.answers.some((a) => hits[a[1]] || hits[a[2]])));
    place = 0;
    show();
  };
  const card = (kind, [column, prompt, text, exact, values]) => {
    const made = element("div", "answer"), good = exact >= 1;
    // Text that is generated is rarely equal to its reference: it is not marked as wrong for that.
    const mark = good ? ["right", "✓ "] : kind === "classification" ? ["wrong", "✗ "] : ["", ""];
    made.append(element("h3", "", name(columns[column])));
    made.append(element("p", `said ${mark[0]}`, `${mark[1]}${texts[text] || "(nothing)"}`));
    made.append(element("p", "quiet", metrics.map((name, i) => [name, values[i]])
      .filter(([, value]) => value !== null).map((pair) => pair.join(" ")).join(", ")));
    const details = element("details"), summary = element("summary", "quiet", "prompt");
    details.open = innerWidth > 700;
    details.append(summary, element("pre", "", texts[prompt] || "(prompts were not saved)"));
    made.append(details);
    return made;
  };
  const show = () => {
    shown.replaceChildren();
    byId("b-place").textContent = found.length ? `${place + 1} of ${found.length}` : "no instance fits";
    if (!found.length) return;
    const [of, id, one] = found[place];
    shown.append(element("p", "quiet", `${of}, ${id}`), element("p", "", `references: ${one.references.join(" | ")}`));
    const answers = element("div", "answers");
    const fits = ([column]) => !budget.value || [0, Number(budget.value)].includes(columns[column].budget);
    answers.append(...one.answers.filter(fits).map((answer) => card(tasks[of].kind, answer)));
    shown.append(answers);
  };
  const go = (by) => { if (found.length) { place = (place + by + found.length) % found.length; show(); } };
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 150); });
  for (const input of [task, right, wrong]) input.addEventListener("input", choose);
  budget.addEventListener("input", show);
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
