// Draws the page's figures: data from json_script, colours from the tokens of the theme in force.
// A value that is the name of a token ("--grey2") is replaced by what the theme says.

const TOKEN = /^--[a-z0-9-]+$/;
const CONFIG = { displayModeBar: false, responsive: true, showTips: false, doubleClick: false };

function coloured(value, style) {
  if (typeof value === "string") return TOKEN.test(value) ? style.getPropertyValue(value).trim() : value;
  if (Array.isArray(value)) return value.map((one) => coloured(one, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
  }
  return value;
}

function draw(place) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  const style = getComputedStyle(document.documentElement);
  return window.Plotly.react(place, coloured(figure.data, style), coloured(figure.layout, style), CONFIG);
}

function drawAll() {
  const places = document.querySelectorAll("[data-figure]");
  for (const place of places) {
    if (window.Plotly) draw(place);
    else place.textContent = `${place.getAttribute("aria-label")} (The figure could not be drawn.)`;
  }
  document.documentElement.dataset.figures = window.Plotly ? "drawn" : "failed";
}

drawAll();
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
