// What every page does: the clock, the theme choice, menus that close by themselves.

const YEAR_S = 31_536_000;

function keepTime(clock) {
  const format = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: document.documentElement.dataset.zone });
  const show = () => {
    clock.textContent = format.format(new Date());
  };
  show();
  setInterval(show, 5_000);
}

function chooseTheme(theme) {
  document.cookie = theme
    ? `theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`
    : "theme=; path=/; max-age=0; samesite=lax";
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
  document.dispatchEvent(new CustomEvent("themechange"));
}

const clock = document.querySelector("[data-clock]");
if (clock) keepTime(clock);

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-theme-choice]");
  if (choice) chooseTheme(choice.dataset.themeChoice);
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) menu.open = false;
});
