"use strict";
(() => {
const byId = id => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme:dark)");
const touch = matchMedia("(pointer:coarse)").matches;
const colours = new Map(Object.entries(JSON.parse(byId("colours").textContent)));
const drawings = new Map();
const narrow = 520;
let library;

const unpack = element => {
  const bytes = Uint8Array.from(atob(element.textContent), letter => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};

// What draws is read when the first check is opened: until then the page is as quick as one without it.
const load = () => library ??= unpack(byId("plotly")).then(text => {
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script);
});

const painted = value => {
  if (typeof value === "string") return dark.matches && colours.get(value) || value;
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, painted(of)]));
  return value;
};

const laid = (layout, width) => {
  const made = painted(layout);
  if (width < narrow) {
    for (const axis of ["xaxis", "yaxis"]) if (made[axis].nticks) made[axis].nticks = 5;
    // words under cells (the calendar) would run into one another: every second goes
    const {tickvals, ticktext} = made.xaxis;
    if (tickvals && tickvals.length > 5) {
      made.xaxis.tickvals = tickvals.filter((_, i) => i % 2 === 0);
      made.xaxis.ticktext = ticktext.filter((_, i) => i % 2 === 0);
    }
    made.margin.l = Math.min(made.margin.l, 50);
    made.margin.r = 8;
    made.legend.itemwidth = 30;
  }
  // On a phone a finger on a chart scrolls the page; a tap still tells.
  if (touch) {
    made.dragmode = false;
    for (const axis of ["xaxis", "yaxis"]) made[axis].fixedrange = true;
  }
  return made;
};

const config = {displaylogo: false, displayModeBar: false, responsive: true, showTips: false};

const places = check => [...check.querySelectorAll(".chart")];

const draw = check => Promise.all(places(check).map((place, i) => {
  const {data, layout} = drawings.get(check)[i];
  return Plotly.react(place, painted(data), laid(layout, place.clientWidth), config);
}));

const open = async check => {
  const state = check.querySelector(".state");
  try {
    if (!drawings.has(check)) {
      state.textContent = "Drawing …";
      const [text] = await Promise.all([unpack(check.querySelector("script")), load()]);
      drawings.set(check, JSON.parse(text));
    }
    await draw(check);
    state.textContent = "";
    check.dataset.drawn = "yes";
  } catch (error) {
    state.textContent = "The charts could not be drawn in this browser; the sentences say what they show.";
    console.error(error);
  }
};

const checks = [...document.querySelectorAll("details")];
for (const check of checks) check.addEventListener("toggle", () => check.open && open(check));

const redraw = () => checks.filter(check => check.open && drawings.has(check)).forEach(draw);
dark.addEventListener("change", redraw);

byId("find").addEventListener("input", event => {
  const words = event.target.value.trim().toLowerCase();
  const left = checks.filter(check => {
    check.hidden = !check.querySelector("summary").textContent.toLowerCase().includes(words);
    return !check.hidden;
  });
  byId("found").textContent = words ? `${left.length} of ${checks.length}` : "";
});

const follow = () => {
  const check = location.hash && byId(location.hash.slice(1));
  if (checks.includes(check)) check.open = true;
};
addEventListener("hashchange", follow);
follow();
})();
