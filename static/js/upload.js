// The upload page: many files at once, a few on their way at a time, each with its progress.
// XMLHttpRequest, because fetch does not tell how much of a body was sent.

const AT_A_TIME = 3;
const TRIES = 4; // a busy or full server is asked again
const WAIT_MS = 2_000;
const SHOWN = 500; // rows of the table; the counts go on

const form = document.getElementById("upload");
const product = document.getElementById("product");
const view = document.getElementById("view");
const lot = document.getElementById("lot");
const names = document.getElementById("names");
const drop = document.getElementById("drop");
const input = document.getElementById("files");
const table = document.getElementById("sent");
const total = document.getElementById("total");
const count = document.getElementById("count");
const products = JSON.parse(document.getElementById("products").textContent);
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;

const queue = [];
const done = { taken: 0, known: 0, refused: 0, all: 0 };
let busy = 0;

function option(value, label) {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = label;
  return element;
}

function showViews() {
  const chosen = products.find((one) => String(one.id) === product.value);
  view.replaceChildren(...chosen.views.map((one) => option(one.id, one.name)));
  view.disabled = chosen.views.length === 0;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const base = document.querySelector(".brand use").getAttribute("href").split("#")[0];
  use.setAttribute("href", `${base}#${name}`);
  svg.append(use);
  return svg;
}

function tag(kind, shape, text) {
  const element = document.createElement("span");
  element.className = `tag ${kind}`.trim();
  element.append(icon(shape), text);
  return element;
}

function size(bytes) {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function rowFor(file) {
  const row = document.createElement("tr");
  const cells = [document.createElement("td"), document.createElement("td"), document.createElement("td")];
  cells[0].textContent = file.name;
  cells[1].textContent = size(file.size);
  cells[1].className = "num";
  cells[2].textContent = "waits";
  row.append(...cells);
  return { row, result: cells[2] };
}

function showCounts() {
  const finished = done.taken + done.known + done.refused;
  const words = [`${finished} of ${done.all}`];
  if (done.taken) words.push(`${done.taken} taken in`);
  if (done.known) words.push(`${done.known} here already`);
  if (done.refused) words.push(`${done.refused} refused`);
  count.textContent = words.join(", ");
  total.hidden = false;
  total.max = Math.max(done.all, 1);
  total.value = finished;
}

function send(job) {
  const body = new FormData();
  body.append("file", job.file);
  body.append("product", job.product);
  if (job.view) body.append("view", job.view);
  if (job.lot) body.append("lot", job.lot);
  if (job.serial) body.append("serial", job.serial);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.url);
    request.setRequestHeader("X-CSRFToken", token);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) job.progress.value = event.loaded / event.total;
    });
    request.addEventListener("load", () => resolve({ status: request.status, answer: request.response }));
    request.addEventListener("error", () => resolve({ status: 0, answer: null }));
    request.send(body);
  });
}

function show(job, status, answer) {
  if (status === 201 || status === 200) {
    const created = status === 201;
    done[created ? "taken" : "known"] += 1;
    job.result.replaceChildren(
      tag("", "check", created ? "taken in" : "here already"),
      ` as part ${answer.part.serial}`,
    );
    return;
  }
  done.refused += 1;
  const why = answer?.error?.message
    ?? (status === 0 ? "The server was not reached. Send the file again." : `The server answered ${status}.`);
  job.result.replaceChildren(tag("red", "diamond", "refused"), ` ${why}`);
}

async function work() {
  busy += 1;
  for (let job = queue.shift(); job; job = queue.shift()) {
    job.result.replaceChildren(job.progress);
    let sent = { status: 0, answer: null };
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      sent = await send(job);
      if (![0, 502, 503, 504].includes(sent.status) || attempt === TRIES) break;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt));
    }
    show(job, sent.status, sent.answer);
    showCounts();
  }
  busy -= 1;
}

function add(files) {
  for (const file of files) {
    const { row, result } = rowFor(file);
    const progress = document.createElement("progress");
    progress.className = "progress";
    progress.max = 1;
    progress.value = 0;
    progress.setAttribute("aria-label", file.name);
    queue.push({
      file,
      result,
      progress,
      product: product.value,
      view: view.value,
      lot: lot.value.trim(),
      serial: names.checked ? file.name.replace(/\.[^.]*$/, "") : "",
    });
    done.all += 1;
    if (table.tBodies[0].rows.length < SHOWN) table.tBodies[0].append(row);
  }
  table.hidden = done.all === 0;
  if (done.all) showCounts();
  while (busy < Math.min(AT_A_TIME, queue.length + busy) && queue.length) work();
}

product.append(...products.map((one) => option(one.id, one.name)));
const wanted = new URLSearchParams(location.search).get("product");
if (products.some((one) => String(one.id) === wanted)) product.value = wanted;
product.addEventListener("change", showViews);
showViews();

input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  drop.addEventListener(name, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  add(event.dataTransfer.files);
});
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("beforeunload", (event) => {
  if (busy) event.preventDefault();
});
