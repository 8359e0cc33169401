// What `shown_masks.py` runs in a page: reads the canvas of the masks.

(step) => {
  const NEAR = 60; // sum of the differences of red, green and blue

  // One byte for each sampled pixel of the image: the object whose colour the canvas has there, or 0.
  window.sampleMasks = (palette) => {
    const { stage } = window.desk;
    const { width, height } = stage.frame;
    const canvas = stage.element.querySelector("canvas[data-layer=masks]");
    const place = canvas.getBoundingClientRect();
    const ratio = canvas.width / place.width;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const apart = (rgb, at) => rgb.reduce((sum, value, channel) => sum + Math.abs(value - pixels[at + channel]), 0);
    let text = "";
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        const on = stage.toScreen(x + 0.5, y + 0.5);
        const column = Math.floor((on.x - place.left) * ratio);
        const row = Math.floor((on.y - place.top) * ratio);
        const at = 4 * (row * canvas.width + column);
        const found = pixels[at + 3] > 40 ? palette.find(([, rgb]) => apart(rgb, at) < NEAR) : null;
        text += String.fromCharCode(found ? found[0] : 0);
      }
    }
    return btoa(text);
  };

  // Samples the next images when they have just been drawn, into `drawn`, by stamp.
  window.recordMasks = (palette, frames) => {
    window.drawn = {};
    window.desk.stage.on("drawn", () => {
      const stamp = window.desk.shown?.stamp;
      if (stamp && Object.keys(window.drawn).length < frames) window.drawn[stamp] = window.sampleMasks(palette);
    });
  };
}
