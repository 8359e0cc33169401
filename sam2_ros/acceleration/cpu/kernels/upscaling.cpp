// The mask decoder's upscaling from stride 16 to masks at stride 4: two transposed 2x2 convolutions, each with a skip
// connection, and a product with the mask filters. All activations of a group of pixels stay in caches.

#include "transformer.h"

namespace {

// Mirrors `Upscaling` of upscaling.py.
struct Upscaling {
  const float *image;    // [batch, height * width, in]
  const float *stride8;  // [batch or 1, 2 height, 2 width, middle]
  const float *stride4;  // [batch or 1, 4 height, 4 width, out]
  const float *filters;  // [batch, masks, out]
  float *logits;         // [batch, masks, 4 height, 4 width]
  long batch, stride8_batch, stride4_batch, height, width, in, middle, out, masks, threads;
  float eps;
  Weights upscale1, norm, upscale2;  // weight of upscale1, upscale2: [from, to, 2, 2]
};

// Transposed convolution of x [from, GROUP] to four pixels each: [4, to, GROUP].
NOINLINE void upscale(Weights layer, long from, long to, const float *x, float *y) {
  multiply<Float32>(4 * to, (const Word *)layer.weight, 1, 4 * to, GROUP * 4 * to, (const Word *)x, from,
                    [=](long row, int lane, Floats sums) {
                      store(y + (row % 4 * to + row / 4) * GROUP + lane, sums + layer.bias[row / 4]);
                    });
}

NOINLINE void gelu(long channels, float *x) {
  for (long i = 0; i < channels * GROUP; i += LANES) store(x + i, gelu(load(x + i)));
}

// A group of pixels at stride 16.
struct Pixels {
  const Upscaling &call;
  long item, first;

  bool is_valid(long lane) const { return first + lane < call.height * call.width; }

  // Index, in a map finer by `factor`, of the first of a lane's subpixels in their row number row_offset.
  long offset(long factor, long lane, long row_offset) const {
    const long y = (first + lane) / call.width, x = (first + lane) % call.width;
    return ((y * factor + row_offset) * call.width + x) * factor;
  }

  // All subpixels, from a map of each item or one for all (items = 1): [factor, factor, channels, GROUP].
  void read(const float *maps, long items, long factor, long channels, float *to) const {
    const float *map = maps + item % items * call.height * call.width * factor * factor * channels;
    for (long row_offset = 0; row_offset < factor; row_offset++, to += factor * channels * GROUP)
      gather([&](long lane) { return is_valid(lane) ? map + offset(factor, lane, row_offset) * channels : nullptr; },
             factor * channels, to);
  }
};

// Mask logits of a group: [4, 4, masks, GROUP].
NOINLINE void filter(const Pixels &pixels, float *logits) {
  static thread_local Scratch scratch;
  const Upscaling &call = pixels.call;
  const long middle = call.middle * GROUP, out = call.out * GROUP;
  float *x = scratch.floats(call.in * GROUP + 8 * middle + 20 * out), *finer = x + call.in * GROUP,
        *skip8 = finer + 4 * middle;
  float *finest = skip8 + 4 * middle, *skip4 = finest + 4 * out;
  pixels.read(call.image, call.batch, 1, call.in, x);
  pixels.read(call.stride8, call.stride8_batch, 2, call.middle, skip8);
  pixels.read(call.stride4, call.stride4_batch, 4, call.out, skip4);
  upscale(call.upscale1, call.in, call.middle, x, finer);
  for (long i = 0; i < 4; i++, finer += middle) {
    add(finer, skip8 + i * middle, call.middle, finer);
    layer_norm(call.norm, call.eps, call.middle, finer, finer);
    gelu(call.middle, finer);
    upscale(call.upscale2, call.middle, call.out, finer, finest);
    for (long j = 0; j < 4; j++) {
      const long subpixel = (i / 2 * 2 + j / 2) * 4 + i % 2 * 2 + j % 2;
      add(finest + j * out, skip4 + subpixel * out, call.out, finest + j * out);
      gelu(call.out, finest + j * out);
      Product<Float32>()(call.masks, (const Word *)call.filters + pixels.item * call.masks * call.out, call.out, 1,
                         (const Word *)finest + j * out, call.out, logits + subpixel * call.masks * GROUP, false);
    }
  }
}

}  // namespace

extern "C" void upscaled_masks(const Upscaling *arguments) {
  const Upscaling &call = *arguments;
  const long groups = groups_of(call.height * call.width);
#pragma omp parallel for num_threads(call.threads) schedule(dynamic)
  for (long i = 0; i < call.batch * groups; i++) {
    static thread_local Scratch scratch;
    float *logits = scratch.floats(16 * call.masks * GROUP);
    const Pixels pixels = {call, i / groups, i % groups * GROUP};
    filter(pixels, logits);
    for (long mask = 0; mask < call.masks; mask++) {
      float *to = call.logits + (pixels.item * call.masks + mask) * 16 * call.height * call.width;
      for (long lane = 0; lane < GROUP && pixels.is_valid(lane); lane++)
        for (long row_offset = 0; row_offset < 4; row_offset++) {
          float *row = to + pixels.offset(4, lane, row_offset);
          for (long column_offset = 0; column_offset < 4; column_offset++)
            row[column_offset] = logits[((row_offset * 4 + column_offset) * call.masks + mask) * GROUP + lane];
        }
    }
  }
}
