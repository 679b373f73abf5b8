// Starts the review station of this page.

import { Station } from "./station.js";

const config = JSON.parse(document.getElementById("station-config")?.textContent || "null") || {};
new Station(document, config).start();
