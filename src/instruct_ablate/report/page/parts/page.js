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

// On paper nothing can be opened: what is folded is printed, and folded again afterwards.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => { for (const one of folded) one.open = false; });

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

// Downloads: a table as it is filtered, a figure as it is.
function save(name, content) {
  const link = element("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
// A spreadsheet would calculate a text that begins so; numbers, with signs and intervals, stay as they are.
const harmless = (text) => (/^[=+\-@\t\r]/.test(text) && !/^[+-]?[\d\s.,±%()[\]*–−+-]*$/.test(text) ? `'${text}` : text);
const csvCell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvLine = (row) => [...row.cells].map((cell) => csvCell(harmless(cell.textContent.trim()))).join(",");
for (const button of document.querySelectorAll("[data-csv]")) button.addEventListener("click", () => {
  const table = byId(`${button.dataset.csv}-table`);
  const rows = [table.tHead.rows[0], ...[...table.tBodies[0].rows].filter((row) => !row.classList.contains("hidden"))];
  save(`${button.dataset.csv}.csv`, new Blob([rows.map(csvLine).join("\n"), "\n"], { type: "text/csv" }));
});
for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => {
  const packed = button.closest("figure").querySelector("img").src.split(",")[1];
  save(button.dataset.save, new Blob([Uint8Array.from(atob(packed), (c) => c.charCodeAt(0))], { type: "image/svg+xml" }));
});

// The address: which section is looked at, under which filters. It leads back there, in another window too.
const [asked, given] = (location.hash.slice(1) + "?").split("?");
const before = new URLSearchParams(given);
function remember(section, values) {
  const said = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ""));
  history.replaceState(null, "", `#${section}${said.size ? `?${said}` : ""}`);
}
const choices = (filters) => Object.fromEntries([...filters.querySelectorAll("select, [data-search]")].map((input) =>
  [input.dataset.column ?? "search", input.value]));
for (const filters of document.querySelectorAll(".filters[data-for]")) {
  const section = filters.closest("section").id;
  if (section === asked && before.size) {
    for (const input of filters.querySelectorAll("select, [data-search]"))
      input.value = before.get(input.dataset.column ?? "search") ?? "";
    filters.dispatchEvent(new Event("input"));
    byId(section).scrollIntoView();
  }
  filters.addEventListener("input", () => remember(section, choices(filters)));
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

// Where predictions come from: within the page, or fetched from the server that it came from.
function within({ tasks, texts }) {
  const exact = (one, column) => { const a = one.answers.find((each) => each[0] === column); return a ? a[3] : NaN; };
  const instances = (task) => (task ? [task] : Object.keys(tasks)).flatMap((name) =>
    Object.entries(tasks[name] ? tasks[name].instances : {}).map(([id, one]) => [name, id, one]));
  // Every text is searched once, however many answers share it.
  const matching = (wanted) => { const low = wanted.toLowerCase(); return texts.map((text) => text.toLowerCase().includes(low)); };
  const choose = ({ task, right, wrong, search }) => {
    const yes = Number(right), no = Number(wrong), hits = search ? matching(search) : [];
    return instances(task).filter(([, id, one]) =>
      (right === "" || exact(one, yes) >= 1) && (wrong === "" || exact(one, no) < 1)
      && (!search || id.toLowerCase().includes(search.toLowerCase()) || one.answers.some((a) => hits[a[1]] || hits[a[2]])));
  };
  let asked, found = [];
  return async (filters, place, at) => {
    const said = JSON.stringify(filters);
    if (said !== asked) { found = choose(filters); asked = said; }
    if (!found.length) return { count: 0, place: 0 };
    const named = at ? found.findIndex(([, id]) => id === at) : -1;
    const here = named < 0 ? place % found.length : named;
    const [task, id, one] = found[here];
    return { count: found.length, place: here, task, id, kind: tasks[task].kind, ...one, texts };
  };
}
async function fetched(filters, place, at) {
  const response = await fetch(`predictions?${new URLSearchParams({ ...filters, place, at })}`);
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  return said;
}

function startBrowser(data) {
  const { columns, metrics, tasks, note } = data.browser;
  const source = data.browser.served ? fetched : within(data.browser);
  const [task, right, wrong, budget, template, search] =
    ["task", "right", "wrong", "budget", "template", "search"].map((id) => byId(`b-${id}`));
  const shown = byId("b-instance");
  const models = new Set(columns.filter((c) => c.trained !== `(${c.model})`).map((c) => c.model));
  const name = (c) => (models.size > 1 && models.has(c.model) ? `${c.model}, ` : "") + c.trained
    + (c.place ? `, ${c.place}` : "") + (c.budget === 0 ? "" : `, budget ${c.shown_budget}, seed ${c.seed}`)
    + (c.tested === c.trained || c.budget === 0 && c.tested === "original" ? "" : `, tested on ${c.tested}`)
    + (c.template ? `, ${c.template}` : "");
  for (const each of Object.keys(tasks).sort()) task.append(new Option(`${each} (${tasks[each].category})`, each));
  if (Object.keys(tasks).length > 1) task.append(new Option("all tasks", ""));
  for (const select of [right, wrong]) {
    select.append(new Option("any", ""));
    columns.forEach((column, i) => select.append(new Option(name(column), i)));
  }
  const sizeOf = (text) => Number.parseInt(text, 10) || Infinity; // "all" is more than any number
  const budgets = [...new Set(columns.filter((c) => c.budget > 0).map((c) => c.shown_budget))].sort((a, b) => sizeOf(a) - sizeOf(b));
  budget.append(new Option("all", ""), ...budgets.map((b) => new Option(b, b)));
  // Answers under every template of a set would be a wall: the first one's are shown until another is chosen.
  const templates = [...new Set(columns.map((c) => c.template))].filter((t) => t);
  template.append(...templates.map((t) => new Option(t, t)), new Option("all", ""));
  template.parentElement.hidden = templates.length < 2;
  template.value = templates[0] ?? "";
  byId("b-note").textContent = note;
  let now = { count: 0, place: 0 }, turn = 0;
  // What a prompt has otherwise than the first one's, by words: what is new in it is marked; what is gone leaves a mark of its own.
  const wordsOf = (text) => text.match(/\s*\S+|\s+/g) ?? [];
  const partsOf = (text, first) => {
    const mine = wordsOf(text), theirs = wordsOf(first), most = Math.min(mine.length, theirs.length);
    let start = 0, end = 0;
    while (start < most && mine[start] === theirs[start]) start += 1;
    while (end < most - start && mine[mine.length - 1 - end] === theirs[theirs.length - 1 - end]) end += 1;
    const here = mine.slice(start, mine.length - end), there = theirs.slice(start, theirs.length - end);
    return [[false, mine.slice(0, start).join("")], ...middleOf(here, there), [false, mine.slice(mine.length - end).join("")]];
  };
  // The longest common sequence of words (Wagner & Fischer 1974); where that would take long, all between is marked.
  const middleOf = (here, there) => {
    const wide = there.length + 1;
    if (here.length * there.length > 1_000_000) return [[true, here.join("")]];
    const long = new Uint16Array((here.length + 1) * wide);
    for (let i = here.length - 1; i >= 0; i -= 1) for (let j = there.length - 1; j >= 0; j -= 1)
      long[i * wide + j] = here[i] === there[j] ? long[(i + 1) * wide + j + 1] + 1 : Math.max(long[(i + 1) * wide + j], long[i * wide + j + 1]);
    const parts = [], add = (own, text) => {
      if (parts.length && parts[parts.length - 1][0] === own) parts[parts.length - 1][1] += text;
      else parts.push([own, text]);
    };
    let i = 0, j = 0;
    while (i < here.length || j < there.length) {
      if (i < here.length && j < there.length && here[i] === there[j]) { add(false, here[i]); i += 1; j += 1; }
      else if (j < there.length && (i === here.length || long[i * wide + j + 1] >= long[(i + 1) * wide + j])) { add(true, ""); j += 1; }
      else { add(true, here[i]); i += 1; }
    }
    return parts;
  };
  const markOf = (text) => (text ? element("mark", "", text) : element("mark", "gone"));
  const promptBox = (text, first) => {
    const box = element("div"), whole = element("pre");
    const parts = text === first ? [[false, text]] : partsOf(text, first);
    for (const [own, part] of parts) whole.append(own ? markOf(part) : part);
    const changed = parts.filter(([own]) => own).map(([, part]) => part.trim());
    if (changed.length) {
      // The box shows its end, the instance's own input: what is otherwise is said above it.
      const said = [...new Set(changed)].filter((part) => part), line = said.slice(0, 3).map((part) => part.slice(0, 200)).join(" | ");
      box.append(element("p", "otherwise quiet", line ? `otherwise: ${line}${said.length > 3 ? " | …" : ""}` : "otherwise: words left out"));
    }
    box.append(whole);
    return box;
  };
  const card = ({ kind, texts }, [column, prompt, text, exact, values, cut, references], first) => {
    const made = element("div", "answer"), good = exact >= 1;
    // Text that is generated is rarely equal to its reference: it is not marked as wrong for that.
    const mark = good ? ["right", "✓ "] : kind === "classification" ? ["wrong", "✗ "] : ["", ""];
    made.append(element("h3", "", name(columns[column])));
    made.append(element("p", `said ${mark[0]}`, `${mark[1]}${texts[text] || "(nothing)"}`));
    if (references) made.append(element("p", "", `other references in its data: ${references.join(" | ")}`));
    if (cut) made.append(element("p", "quiet", "ended at its greatest length"));
    made.append(element("p", "quiet", metrics.map((name, i) => [name, values[i]])
      .filter(([, value]) => value !== null).map((pair) => pair.join(" ")).join(", ")));
    const details = element("details"), summary = element("summary", "quiet", "prompt");
    details.open = innerWidth > 700;
    details.append(summary, promptBox(texts[prompt] || "(prompts were not saved)", texts[first] || "(prompts were not saved)"));
    made.append(details);
    return made;
  };
  const show = () => {
    shown.replaceChildren();
    byId("b-place").textContent = now.count ? `${now.place + 1} of ${now.count}` : "no instance fits";
    if (!now.count) return;
    shown.append(element("p", "quiet", `${now.task}, ${now.id}`), element("p", "", `references: ${now.references.join(" | ")}`));
    const answers = element("div", "answers");
    const fits = ([column]) => (!budget.value || columns[column].budget === 0 || budget.value === columns[column].shown_budget)
      && (!template.value || ["", template.value].includes(columns[column].template));
    const chosen = now.answers.filter(fits);
    answers.append(...chosen.map((answer) => card(now, answer, chosen[0][1])));
    shown.append(answers);
    // The instance's own input stands at the end of its prompt.
    for (const box of answers.querySelectorAll("pre")) box.scrollTop = box.scrollHeight;
  };
  // An answer that comes after a later question's is dropped.
  const look = async (place, at = "") => {
    const mine = ++turn;
    if (data.browser.served) byId("b-place").textContent = "reading …";
    try {
      const found = await source({ task: task.value, right: right.value, wrong: wrong.value, search: search.value }, place, at);
      if (mine !== turn) return false;
      now = found;
      show();
    } catch (fault) {
      if (mine === turn) byId("b-place").textContent = `cannot be read: ${fault.message}`;
      return false;
    }
    return true;
  };
  const said = () => ({ task: task.value, right: right.value, wrong: wrong.value, budget: budget.value,
    template: template.value || (templates.length ? "all" : ""), search: search.value,
    at: now.count ? now.id : "" });
  const remembered = async (place) => { if (await look(place)) remember("browser", said()); };
  const go = (by) => { if (now.count) remembered((now.place + by + now.count) % now.count); };
  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => remembered(0), 150); });
  for (const input of [task, right, wrong]) input.addEventListener("input", () => remembered(0));
  for (const input of [budget, template]) input.addEventListener("input", () => { show(); remember("browser", said()); });
  byId("b-before").addEventListener("click", () => go(-1));
  byId("b-next").addEventListener("click", () => go(1));
  shown.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
  const led = asked === "browser" && before.size > 0;
  if (led) for (const [name, input] of Object.entries({ task, right, wrong, budget, search })) input.value = before.get(name) ?? "";
  if (led && templates.length) template.value = before.get("template") === "all" ? "" : before.get("template") ?? templates[0];
  look(0, led ? before.get("at") ?? "" : "").then(() => {
    if (led) byId("browser").scrollIntoView();
    document.body.dataset.ready = "yes";
  });
}

const unpacked = new Promise((done) => requestAnimationFrame(() => setTimeout(() => unpack().then(done), 0)));
unpacked.then(startBrowser);

// The figure: scores over budgets, or with one budget a line of dots with their intervals.
const drawn = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const WIDE = 720, LEFT = 52;
function ticksOf(low, high) {
  const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
function boundsOf({ lines, levels }) {
  const values = [...lines.flatMap((l) => l.points.flatMap(([, v, d]) => [v - d, v + d])), ...levels.map((l) => l.value)];
  const low = Math.min(...values), high = Math.max(...values), room = (high - low) * 0.06 || 1;
  return [low - room, high + room];
}
function written(value) { // as rounding.py: no minus before what rounding alone made, halves to the even digit
  const down = Number.isInteger(value * 8) && Math.abs(value * 200) % 4 === 1;
  return (Math.abs(value) <= 1e-9 ? 0 : down ? Math.trunc(value * 100) / 100 : value).toFixed(2);
}
function hover(shape, name, budget, value, deviation) {
  const spread = deviation ? ` ± ${written(deviation)}` : "";
  shape.append(drawn("title", {}, `${name}${budget === null ? "" : `, budget ${budget}`}: ${written(value)}${spread}`));
  return shape;
}
const LETTER = 7.8; // units of a figure that a letter of a name takes at most, on average
function widest(named) { return LETTER * Math.max(...named.map(({ name }) => name.length)); }
function overBudgets(plot) {
  const { budgets, lines, levels } = plot, high = 300, [least, most] = boundsOf(plot);
  const named = [...lines, ...levels], room = (WIDE - LEFT) / (widest(named) + 44);
  const perRow = Math.max(1, Math.min(3, Math.floor(room))), below = 22 * Math.ceil(named.length / perRow) + 50;
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${high + below}`, role: "img", "aria-label": `${plot.y} over ${plot.x}` });
  const x = (budget) => LEFT + 30 + (WIDE - LEFT - 60) * (budgets.indexOf(budget) / (budgets.length - 1));
  const y = (value) => high - (high - 14) * ((value - least) / (most - least));
  for (const tick of ticksOf(least, most)) svg.append(
    drawn("line", { class: "axis", x1: LEFT, x2: WIDE, y1: y(tick), y2: y(tick) }),
    drawn("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick));
  for (const budget of budgets) svg.append(drawn("text", { x: x(budget), y: high + 18, "text-anchor": "middle" }, budget ?? "in all"));
  svg.append(drawn("text", { x: (LEFT + WIDE) / 2, y: high + 36, "text-anchor": "middle" }, plot.x),
    drawn("text", { x: 12, y: high / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${high / 2})` }, plot.y));
  for (const { name, value, dash } of levels) svg.append(hover(drawn("line",
    { class: "level", x1: LEFT, x2: WIDE, y1: y(value), y2: y(value), "stroke-dasharray": dash }), name, null, value, 0));
  for (const { name, colour, dash, points } of lines) {
    svg.append(drawn("polyline", { class: "line", fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash,
      points: points.map(([b, v]) => `${x(b)},${y(v)}`).join(" ") }));
    for (const [b, v, d] of points) svg.append(
      drawn("line", { stroke: colour, x1: x(b), x2: x(b), y1: y(v - d), y2: y(v + d) }),
      hover(drawn("circle", { cx: x(b), cy: y(v), r: 4, fill: colour }), name, b, v, d));
  }
  named.forEach(({ name, colour, dash }, i) => {
    const at = LEFT + (i % perRow) * ((WIDE - LEFT) / perRow), line = high + 58 + 22 * Math.floor(i / perRow);
    svg.append(drawn("line", { x1: at, x2: at + 26, y1: line - 4, y2: line - 4, "stroke-width": 2, "stroke-dasharray": dash,
      ...(colour ? { stroke: colour } : { class: "level" }) }), drawn("text", { class: "name", x: at + 32, y: line }, name));
  });
  return svg;
}
function dots(plot) {
  const { lines, levels, budgets } = plot, [least, most] = boundsOf(plot), each = 26, named = [...lines, ...levels];
  const side = Math.max(230, Math.min(widest(named) + 20, WIDE - 220)), letters = Math.floor((side - 20) / LETTER);
  const high = each * named.length + 8;
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${high + 44}`, role: "img", "aria-label": plot.y });
  const x = (value) => side + (WIDE - side - 20) * ((value - least) / (most - least));
  for (const tick of ticksOf(least, most)) svg.append(
    drawn("line", { class: "axis", x1: x(tick), x2: x(tick), y1: 0, y2: high }),
    drawn("text", { x: x(tick), y: high + 16, "text-anchor": "middle" }, tick));
  svg.append(drawn("text", { x: (side + WIDE) / 2, y: high + 36, "text-anchor": "middle" }, plot.y));
  named.forEach((one, i) => {
    const y = each * i + each / 2, [, v, d] = one.points ? one.points[0] : [0, one.value, 0];
    svg.append(drawn("text", { class: "name", x: side - 10, y: y + 4, "text-anchor": "end" }, one.name.length > letters ? `${one.name.slice(0, letters - 1)}…` : one.name));
    if (one.points) svg.append(drawn("line", { class: "line", stroke: one.colour, "stroke-width": 2, x1: x(v - d), x2: x(v + d), y1: y, y2: y }),
      hover(drawn("circle", { cx: x(v), cy: y, r: 5, fill: one.colour }), one.name, budgets[0], v, d));
    // A diamond in its own row says which of several lines it is.
    else svg.append(hover(drawn("line", { class: "level", x1: x(v), x2: x(v), y1: 0, y2: high, "stroke-dasharray": one.dash }), one.name, null, v, 0),
      hover(drawn("path", { class: "level diamond", d: `M${x(v)} ${y - 6}l6 6l-6 6l-6 -6z` }), one.name, null, v, 0));
  });
  return svg;
}
// As a file of its own the figure has no style sheet: what it says of lines and letters goes with it.
function alone(svg) {
  const copy = svg.cloneNode(true);
  copy.prepend(drawn("style", {}, "text{font:12px sans-serif}.axis{stroke:#d9d9de}.level{stroke:#5c5c66}.diamond{fill:#5c5c66}"));
  return new XMLSerializer().serializeToString(copy);
}
unpacked.then(({ plot }) => {
  if (!plot.lines.length) return;
  byId("plot").append(plot.budgets.length > 1 ? overBudgets(plot) : dots(plot));
  byId("plot-note").hidden = false;
  byId("plot-save").addEventListener("click", () => save("plot.svg", new Blob([alone(byId("plot").firstChild)], { type: "image/svg+xml" })));
  document.body.dataset.drawn = "yes";
});
