// Our own icons: strokes on a grid of 24.

const SHAPES = {
  add: ["M12 5v14M5 12h14"],
  away: ["M4 12h3M10.5 12h3M17 12h3"],
  back: ["M15 5l-7 7 7 7"],
  box: ["M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4"],
  brush: ["M20 4c-5 2-9 6-11 10l2 2c4-2 7-6 9-12zM8 15c-3 0-3 4-5 5 4 1 7-1 7-3z"],
  camera: ["M3 8a2 2 0 012-2h9a2 2 0 012 2v8a2 2 0 01-2 2H5a2 2 0 01-2-2zM16 11l5-3v8l-5-3"],
  check: ["M5 12.5l5 5L19 7"],
  close: ["M6 6l12 12M18 6L6 18"],
  copy: ["M9 9h10v11H9zM5 15V4h10"],
  down: ["M6 9l6 6 6-6"],
  download: ["M12 4v11M7 11l5 5 5-5M5 20h14"],
  eraser: ["M8 20l-5-5L14 4l6 6-10 10zM9 9l6 6M8 20h12"],
  everything: ["M12 3l1.8 5.2L19 10l-5.2 1.8L12 17l-1.8-5.2L5 10l5.2-1.8zM19 16v4M17 18h4M5 3v4M3 5h4"],
  eye: ["M2 12s4-7 10-7 10 7 10 7-4 7-10 7-10-7-10-7z", "M12 9a3 3 0 100 6 3 3 0 000-6z"],
  eyeOff: [
    "M4 4l16 16M9.9 5.3A9 9 0 0112 5c6 0 10 7 10 7a17 17 0 01-3 3.7M6 6.6C3.5 8.3 2 12 2 12s4 7 10 7a9 9 0 004.5-1.2",
  ],
  fit: ["M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", "M9 9h6v6H9z"],
  forward: ["M9 5l7 7-7 7"],
  grid: ["M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z"],
  help: ["M9 9a3 3 0 115 2.2c-1.2 1-2 1.5-2 2.8M12 17.5v.1", "M12 2.5a9.5 9.5 0 100 19 9.5 9.5 0 000-19z"],
  live: ["M12 9a3 3 0 100 6 3 3 0 000-6zM6 6a8.5 8.5 0 000 12M18 6a8.5 8.5 0 010 12"],
  look: ["M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5M8 11h6"],
  markBack: ["M6 5v14M18 6l-7 6 7 6"],
  markForward: ["M18 5v14M6 6l7 6-7 6"],
  minus: ["M5 12h14"],
  no: ["M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17z", "M8 12h8"],
  outline: ["M7 18C3 16 3 8 8 6s12-1 12 4-5 9-10 8", "M10 18l-3-3M10 18l-4 3"],
  pause: ["M8 5v14M16 5v14"],
  play: ["M7 4.5v15l12-7.5z"],
  point: ["M5 3l14 8-6 2-3 6z"],
  propagate: ["M4 12h16M8 8l-4 4 4 4M16 8l4 4-4 4"],
  redo: ["M15 5l5 5-5 5M20 10H9a5 5 0 000 10h4"],
  restart: ["M4 4v6h6M4.6 10a8 8 0 111.4 7.5"],
  single: ["M4 5h16v14H4z"],
  solo: ["M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3"],
  trash: ["M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"],
  tune: ["M4 7h10M18 7h2M4 17h2M10 17h10M16 4.5v5M8 14.5v5"],
  undo: ["M9 5l-5 5 5 5M4 10h11a5 5 0 010 10h-4"],
  unsure: ["M3 7c5 0 5 10 9 10s4-10 9-10M12 17v3"],
  up: ["M6 15l6-6 6 6"],
  yes: ["M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17z", "M8 12h8M12 8v8"],
};

const SVG = "http://www.w3.org/2000/svg";

/** An icon that assistive technology skips; the button around it has the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  for (const shape of SHAPES[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    svg.append(path);
  }
  return svg;
}

/** Shows another icon in a button that has one. */
export function setIcon(button, name) {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  const old = button.querySelector(".icon");
  if (old) old.replaceWith(icon(name));
  else button.prepend(icon(name));
}
