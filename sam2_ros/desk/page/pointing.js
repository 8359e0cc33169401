// Hands on the picture: mouse, pen, fingers and keyboard become clicks, boxes, strokes, zoom and moves.
//
// Mouse: left is yes, right or Shift no, dragging draws a box; wheel zooms, the middle button or Space and dragging
// move. Fingers: a tap is what `polarity` says, a long press the opposite; dragging draws a box, two fingers zoom and
// move. Keyboard: arrows move a crosshair, Enter clicks, B and Enter at two corners is a box.

const DRAG = 6; // CSS pixels from which on a click is a drag
const DRAG_OF_FINGER = 12;
const LONG_PRESS = 500; // milliseconds
const SMALLEST_BOX = 3; // pixels of the image

export class Pointing {
  /** What a plain click means: true yes, false no. */
  polarity = true;
  /** True: the keyboard's Enter sets corners of a box. */
  boxing = false;
  /** True: arrow keys move the crosshair only while there is one (`stage.crosshair` shows it). */
  onDemand = false;

  #stage;
  #pointers = new Map();
  #drag = null; // {pointerId, type, x, y (window), moved, panning, stroke, timer, ended}
  #pinch = null; // {distance, x, y}
  #spaceDown = false;
  #spaceUsed = false;
  #corner = null; // first corner of a box by keyboard

  constructor(stage) {
    this.#stage = stage;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", (event) => this.#up(event));
    element.addEventListener("pointercancel", (event) => this.#cancel(event));
    element.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") stage.emit("hover", null);
    });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.#hideCrosshair());
    window.addEventListener("keydown", (event) => {
      if (event.key === " " && (event.target === document.body || element.contains(event.target)))
        this.#spaceDown = true;
    });
    window.addEventListener("keyup", (event) => {
      if (event.key === " ") this.#spaceDown = this.#spaceUsed = false;
    });
  }

  /** Whether the space bar is held to move the picture; a key that has another meaning waits until it is let go. */
  get spaceUsed() {
    return this.#spaceUsed;
  }

  /** Forgets a box, stroke or corner that is begun. Returns whether there was one. */
  abandon() {
    const begun = Boolean(this.#drag?.moved || this.#corner);
    if (this.#drag?.stroke) this.#emitStroke("cancel", []);
    this.#endDrag();
    this.#corner = null;
    this.#stage.draft = null;
    return begun;
  }

  #down(event) {
    if (!this.#stage.frame || event.target.closest("button, input, .anchored")) return;
    this.#hideCrosshair();
    this.#stage.element.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (event.pointerType === "touch" && this.#pointers.size > 1) {
      this.abandon();
      this.#pinch = this.#spread();
      return;
    }
    if (this.#drag) return;
    const panning = event.button === 1 || this.#spaceDown;
    if (panning) {
      this.#spaceUsed = this.#spaceDown;
      event.preventDefault();
    } else if (event.button !== 0 && event.button !== 2 && event.button !== 5) return;
    this.#drag = { pointerId: event.pointerId, type: event.pointerType, x: event.clientX, y: event.clientY, panning };
    if (!panning && this.#stage.mode === "brush") {
      this.#drag.stroke = true;
      this.#drag.erase = event.button === 5 || event.button === 2 || event.shiftKey;
      this.#emitStroke("begin", [event]);
    } else if (event.pointerType === "touch") {
      this.#drag.timer = setTimeout(() => this.#longPress(event), LONG_PRESS);
    }
  }

  #move(event) {
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, event);
    if (this.#pinch) {
      this.#movePinch();
      return;
    }
    const drag = this.#drag;
    if (!drag || drag.pointerId !== event.pointerId) {
      if (event.pointerType !== "touch") this.#hover(event);
      return;
    }
    if (drag.panning) {
      this.#stage.pan(event.movementX, event.movementY);
      return;
    }
    if (drag.stroke) {
      this.#emitStroke("move", event.getCoalescedEvents?.() ?? [event]);
      this.#hover(event);
      return;
    }
    const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
    if (!drag.moved && far > (drag.type === "touch" ? DRAG_OF_FINGER : DRAG)) {
      drag.moved = true;
      clearTimeout(drag.timer);
      this.#stage.emit("hover", null);
    }
    if (drag.moved && !drag.ended) this.#stage.draft = this.#boxTo(event);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pinch) {
      if (this.#pointers.size < 2) this.#pinch = null;
      return;
    }
    const drag = this.#drag;
    if (!drag || drag.pointerId !== event.pointerId) return;
    this.#endDrag();
    if (drag.panning || drag.ended) return;
    if (drag.stroke) {
      this.#emitStroke("end", [event], drag);
      return;
    }
    if (drag.moved) {
      const box = this.#boxTo(event, drag);
      this.#stage.draft = null;
      if (box && box[2] >= SMALLEST_BOX && box[3] >= SMALLEST_BOX) {
        this.#stage.emit("box", { box, alt: event.altKey, ctrl: event.ctrlKey || event.metaKey });
      }
      return;
    }
    this.#click(event, event.button === 2 || event.shiftKey ? !this.polarity : this.polarity);
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#pinch = null;
    this.abandon();
  }

  #longPress(event) {
    if (!this.#drag || this.#drag.moved) return;
    this.#drag.ended = true;
    navigator.vibrate?.(15);
    this.#click(event, !this.polarity);
  }

  #click(event, positive) {
    const place = this.#pixel(this.#stage.toImage(event.clientX, event.clientY));
    if (place) this.#stage.emit("click", { ...place, positive, ...modifiers(event) });
  }

  #hover(event) {
    const place = this.#stage.frame && this.#stage.toImage(event.clientX, event.clientY);
    const pixel = place && this.#pixel(place);
    const positive = event.shiftKey ? !this.polarity : this.polarity;
    this.#stage.emit("hover", pixel ? { ...pixel, at: place, positive, ...modifiers(event) } : null);
  }

  #emitStroke(phase, events, drag = this.#drag) {
    const points = events.map(({ clientX, clientY }) => {
      const { x, y } = this.#stage.toImage(clientX, clientY);
      return [x, y];
    });
    this.#stage.emit("stroke", { phase, points, pressure: events.at(-1)?.pressure ?? 0, erase: drag.erase });
  }

  #endDrag() {
    clearTimeout(this.#drag?.timer);
    this.#drag = null;
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.#stage.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), event.clientX, event.clientY);
  }

  #spread() {
    const [one, other] = [...this.#pointers.values()];
    return {
      distance: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY),
      x: (one.clientX + other.clientX) / 2,
      y: (one.clientY + other.clientY) / 2,
    };
  }

  #movePinch() {
    if (this.#pointers.size < 2) return;
    const now = this.#spread();
    this.#stage.pan(now.x - this.#pinch.x, now.y - this.#pinch.y);
    if (this.#pinch.distance > 0) this.#stage.zoom(now.distance / this.#pinch.distance, now.x, now.y);
    this.#pinch = now;
  }

  /** The pixel at a place; null outside the image. */
  #pixel({ x, y }) {
    const { width, height } = this.#stage.frame;
    const inside = x >= 0 && y >= 0 && x < width && y < height;
    return inside ? { x: Math.floor(x), y: Math.floor(y) } : null;
  }

  /** The box of whole pixels between where the drag began and a pointer, cut to the image. */
  #boxTo(event, drag = this.#drag) {
    return this.#boxBetween(this.#stage.toImage(drag.x, drag.y), this.#stage.toImage(event.clientX, event.clientY));
  }

  #boxBetween(one, other) {
    const { width, height } = this.#stage.frame;
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    const left = Math.floor(within(Math.min(one.x, other.x), width));
    const top = Math.floor(within(Math.min(one.y, other.y), height));
    const right = Math.ceil(within(Math.max(one.x, other.x), width));
    const bottom = Math.ceil(within(Math.max(one.y, other.y), height));
    return [left, top, right - left, bottom - top];
  }

  #key(event) {
    const { frame } = this.#stage;
    if (!frame || event.ctrlKey || event.metaKey || event.target !== this.#stage.element) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    const place = this.#stage.crosshair;
    if (step && (place || !this.onDemand)) {
      event.preventDefault();
      const from = place ?? { x: Math.floor(frame.width / 2), y: Math.floor(frame.height / 2) };
      const by = place ? Math.max(1, Math.round((event.shiftKey ? 40 : 6) / this.#stage.scale)) : 0;
      this.#stage.crosshair = {
        x: Math.min(Math.max(from.x + step[0] * by, 0), frame.width - 1),
        y: Math.min(Math.max(from.y + step[1] * by, 0), frame.height - 1),
      };
      if (this.#corner) this.#stage.draft = this.#keyBox();
      this.#stage.emit("hover", { ...this.#stage.crosshair, positive: this.polarity, ...modifiers(event) });
    } else if (event.key === "Enter" && place) {
      event.preventDefault();
      this.#enter(event, place);
    }
  }

  #enter(event, place) {
    if (!this.boxing) {
      const positive = event.shiftKey ? !this.polarity : this.polarity;
      this.#stage.emit("click", { ...place, positive, ...modifiers(event) });
    } else if (!this.#corner) {
      this.#corner = place;
      this.#stage.draft = this.#keyBox();
    } else {
      const box = this.#keyBox();
      this.#corner = null;
      this.#stage.draft = null;
      this.#stage.emit("box", { box, alt: event.altKey, ctrl: event.ctrlKey || event.metaKey });
    }
  }

  #keyBox() {
    const { x, y } = this.#stage.crosshair;
    const far = { x: Math.max(this.#corner.x, x) + 0.5, y: Math.max(this.#corner.y, y) + 0.5 };
    return this.#boxBetween({ x: Math.min(this.#corner.x, x), y: Math.min(this.#corner.y, y) }, far);
  }

  #hideCrosshair() {
    if (this.#stage.crosshair) this.#stage.crosshair = null;
  }
}

function modifiers(event) {
  return { alt: event.altKey, ctrl: event.ctrlKey || event.metaKey, touch: event.pointerType === "touch" };
}
