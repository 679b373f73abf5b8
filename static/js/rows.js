// Adds rows to a table of forms: copies its template and numbers it, as Django expects.

for (const panel of document.querySelectorAll("[data-rows]")) {
  const prefix = panel.dataset.rows;
  const total = panel.querySelector(`[name="${prefix}-TOTAL_FORMS"]`);
  const template = panel.querySelector("template");
  const body = panel.querySelector("tbody");
  panel.querySelector("[data-adds-row]").addEventListener("click", () => {
    const row = template.content.firstElementChild.cloneNode(true);
    for (const control of row.querySelectorAll("[name], [id], [for]")) {
      for (const attribute of ["name", "id", "for"]) {
        const value = control.getAttribute(attribute);
        if (value) control.setAttribute(attribute, value.replace("__prefix__", total.value));
      }
    }
    total.value = String(Number(total.value) + 1);
    body.append(row);
    row.querySelector("input:not([type=hidden])").focus();
  });
}
