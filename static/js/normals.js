// Sends the first normals in small batches, so that hundreds of files show their progress and a
// lost connection loses one batch. Without this script the same form is sent as a whole.

const FILES_AT_ONCE = 8;
const BYTES_AT_ONCE = 24 * 1024 * 1024;

function batchesOf(files) {
  const batches = [];
  let size = Infinity;
  for (const file of files) {
    const last = batches.at(-1);
    if (!last || last.length === FILES_AT_ONCE || size + file.size > BYTES_AT_ONCE) {
      batches.push([file]);
      size = file.size;
    } else {
      last.push(file);
      size += file.size;
    }
  }
  return batches;
}

async function sendBatch(form, files, attestation) {
  const body = new FormData(form);
  body.delete("images");
  for (const file of files) body.append("images", file);
  body.set("attestation", attestation ?? "");
  const response = await fetch(form.action, {
    method: "POST", body, headers: { Accept: "application/json" },
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new Error(answer?.error?.message ?? `The server answered ${response.status}.`);
}

function showProgress(form, state) {
  const place = form.querySelector("[data-normals-progress]");
  place.hidden = false;
  const bar = place.querySelector("progress");
  bar.max = state.total;
  bar.value = state.done;
  const already = state.already ? `, ${state.already} already known` : "";
  const refused = state.refused ? `, ${state.refused} refused` : "";
  place.querySelector("[data-normals-words]").textContent = `${state.added} added${already}${refused}`;
  place.querySelector("[data-normals-left]").textContent = `${state.done} of ${state.total} files sent`;
}

function showRefused(form, lines) {
  const list = form.querySelector("[data-normals-refused]");
  list.hidden = false;
  for (const line of lines) {
    const item = document.createElement("li");
    item.className = "note";
    item.textContent = `${line.name}: ${line.why}`;
    list.append(item);
  }
}

async function sendAll(form) {
  const files = [...form.querySelector("input[type=file]").files];
  const button = form.querySelector("button");
  const state = { total: files.length, done: 0, added: 0, already: 0, refused: 0 };
  let attestation = null;
  button.disabled = true;
  try {
    for (const batch of batchesOf(files)) {
      showProgress(form, state);
      const answer = await sendBatch(form, batch, attestation);
      attestation = answer.attestation ?? attestation;
      state.done += batch.length;
      state.added += answer.added;
      state.already += answer.already_there;
      state.refused += answer.refused.length;
      if (answer.refused.length) showRefused(form, answer.refused);
    }
    showProgress(form, state);
    // Everything else on the page counts them too. What was refused stays to be read.
    if (!state.refused) location.reload();
  } catch (error) {
    showProgress(form, state);
    showRefused(form, [{ name: "Stopped", why: `${error.message} What was added stays; send the rest again.` }]);
  }
  button.disabled = false;
}

function acceptDrops(form) {
  const input = form.querySelector("input[type=file]");
  const place = input.closest(".field");
  place.classList.add("drop");
  for (const name of ["dragenter", "dragover"]) {
    place.addEventListener(name, (event) => {
      event.preventDefault();
      place.classList.add("over");
    });
  }
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}

for (const form of document.querySelectorAll("form[data-normals]")) {
  acceptDrops(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.reportValidity()) sendAll(form);
  });
}
