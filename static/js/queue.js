// The queue page: Enter starts the review, unless the key belongs to what has the focus.

const start = document.querySelector("[data-enter]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("a, button, input, select, textarea, summary")) return;
  event.preventDefault();
  start?.click();
});
