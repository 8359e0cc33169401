// From an image at stride 16 to masks at stride 4: a pixel becomes four, and each of them four again, by products; maps
// of finer strides are added, and filters applied. All that becomes of a group of pixels stays in caches.

#include "transformer.h"

namespace {

// As in upscaling.py.
struct Upscaling {
  const float *image;    // [batch, height * width, in]
  const float *stride8;  // [batch or 1, 2 height, 2 width, middle]
  const float *stride4;  // [batch or 1, 4 height, 4 width, out]
  const float *filters;  // [batch, masks, out]
  float *logits;         // [batch, masks, 4 height, 4 width]
  long batch, of_stride8, of_stride4, height, width, in, middle, out, masks, threads;
  float eps;
  Weights grow1, norm, grow2;  // those that grow: weight [from, to, 2, 2]
};

// Transposed convolution of x [from, GROUP] to its four pixels: [4, to, GROUP].
APART void grow(Weights layer, long from, long to, const float *x, float *y) {
  multiply<Float32>(4 * to, (const Word *)layer.weight, 1, 4 * to, GROUP * 4 * to, (const Word *)x, from,
                    [=](long row, int lane, Floats sums) {
                      store(y + (row % 4 * to + row / 4) * GROUP + lane, sums + layer.bias[row / 4]);
                    });
}

APART void gelu(long channels, float *x) {
  for (long i = 0; i < channels * GROUP; i += LANES) store(x + i, gelu(load(x + i)));
}

// A group of pixels.
struct Pixels {
  const Upscaling &of;
  long item, first;

  bool there(long lane) const { return first + lane < of.height * of.width; }

  // Where, in a map so many times finer, is the first of those that a pixel becomes, so many rows down.
  long place(long times, long lane, long down) const {
    const long y = (first + lane) / of.width, x = (first + lane) % of.width;
    return ((y * times + down) * of.width + x) * times;
  }

  // All of them, from a map that one or each item of the batch has: [times, times, channels, GROUP].
  void read(const float *maps, long items, long times, long channels, float *to) const {
    const float *map = maps + item % items * of.height * of.width * times * times * channels;
    for (long down = 0; down < times; down++, to += times * channels * GROUP)
      gather([&](long lane) { return there(lane) ? map + place(times, lane, down) * channels : nullptr; },
             times * channels, to);
  }
};

// Logits of a group: [4, 4, masks, GROUP].
APART void filter(const Pixels &pixels, float *logits) {
  static thread_local Room room;
  const Upscaling &of = pixels.of;
  const long middle = of.middle * GROUP, out = of.out * GROUP;
  float *x = room.of(of.in * GROUP + 8 * middle + 20 * out), *finer = x + of.in * GROUP, *skip8 = finer + 4 * middle;
  float *finest = skip8 + 4 * middle, *skip4 = finest + 4 * out;
  pixels.read(of.image, of.batch, 1, of.in, x);
  pixels.read(of.stride8, of.of_stride8, 2, of.middle, skip8);
  pixels.read(of.stride4, of.of_stride4, 4, of.out, skip4);
  grow(of.grow1, of.in, of.middle, x, finer);
  for (long i = 0; i < 4; i++, finer += middle) {
    add(finer, skip8 + i * middle, of.middle, finer);
    layer_norm(of.norm, of.eps, of.middle, finer, finer);
    gelu(of.middle, finer);
    grow(of.grow2, of.middle, of.out, finer, finest);
    for (long j = 0; j < 4; j++) {
      const long place = (i / 2 * 2 + j / 2) * 4 + i % 2 * 2 + j % 2;
      add(finest + j * out, skip4 + place * out, of.out, finest + j * out);
      gelu(of.out, finest + j * out);
      Product<Float32>()(of.masks, (const Word *)of.filters + pixels.item * of.masks * of.out, of.out, 1,
                         (const Word *)finest + j * out, of.out, logits + place * of.masks * GROUP, false);
    }
  }
}

}  // namespace

extern "C" void upscaled_masks(const Upscaling *given) {
  const Upscaling &of = *given;
  const long groups = groups_of(of.height * of.width);
#pragma omp parallel for num_threads(of.threads) schedule(dynamic)
  for (long i = 0; i < of.batch * groups; i++) {
    static thread_local Room room;
    float *logits = room.of(16 * of.masks * GROUP);
    const Pixels pixels = {of, i / groups, i % groups * GROUP};
    filter(pixels, logits);
    for (long mask = 0; mask < of.masks; mask++) {
      float *to = of.logits + (pixels.item * of.masks + mask) * 16 * of.height * of.width;
      for (long lane = 0; lane < GROUP && pixels.there(lane); lane++)
        for (long down = 0; down < 4; down++) {
          float *row = to + pixels.place(4, lane, down);
          for (long across = 0; across < 4; across++)
            row[across] = logits[((down * 4 + across) * of.masks + mask) * GROUP + lane];
        }
    }
  }
}
