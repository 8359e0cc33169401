// The fixed colour of an object's ID: the same as colour() in sam2_ros/tracking/object_colours.py.

const PALETTE = [
  [0, 168, 255],
  [255, 106, 61],
  [0, 214, 143],
  [255, 72, 176],
  [255, 212, 0],
  [150, 98, 255],
  [132, 222, 2],
  [244, 40, 56],
  [0, 226, 226],
  [255, 158, 10],
  [212, 140, 255],
  [70, 110, 255],
];

/** Red, green and blue, 0 .. 255, of an ID of 1 or more. */
export function colour(objectId) {
  if (objectId <= PALETTE.length) return PALETTE[objectId - 1];
  const hue = (objectId * 0.618034) % 1;
  return fromHue(hue, 0.55 + 0.35 * (objectId % 2));
}

/** As CSS. An object without an ID yet (0) is white. */
export function css(objectId, opacity = 1) {
  const [red, green, blue] = objectId > 0 ? colour(objectId) : [255, 255, 255];
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}

/** Black or white: which of them is easier to read on the colour. */
export function textOn(objectId) {
  const [red, green, blue] = (objectId > 0 ? colour(objectId) : [255, 255, 255]).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function fromHue(hue, saturation) {
  const sector = Math.floor(hue * 6);
  const part = hue * 6 - sector;
  const low = 1 - saturation;
  const falling = 1 - saturation * part;
  const rising = 1 - saturation * (1 - part);
  const orders = [
    [1, rising, low],
    [falling, 1, low],
    [low, 1, rising],
    [low, falling, 1],
    [rising, low, 1],
    [1, low, falling],
  ];
  return orders[sector % 6].map((value) => Math.round(255 * value));
}
