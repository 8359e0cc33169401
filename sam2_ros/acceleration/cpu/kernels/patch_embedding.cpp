// Hiera's patch embedding: a 7x7 convolution with stride 4, plus position embedding.
//
// Lanes are neighbouring patches. Image columns are first split by their index modulo 4, so that the pixels of
// neighbouring patches at one tap are contiguous.

#include "transformer.h"

namespace {

constexpr long KERNEL = 7, STRIDE = 4, CHANNELS = 3, PATCH_VALUES = CHANNELS * KERNEL * KERNEL;

// Mirrors `Patches` of patch_embedding.py.
struct Patches {
  const float *image;     // [batch, COLOURS, height, width]
  const float *position;  // [height / STRIDE, width / STRIDE, channels]
  float *out;             // [batch, height / STRIDE, width / STRIDE, channels]
  long batch, height, width, channels, threads;
  Weights proj;
};

// The even (from = 0) or odd (from = 1) elements of two vectors.
inline Floats every_second(Floats a, Floats b, int from) {
  Ints which;
  for (int i = 0; i < LANES; i++) which[i] = 2 * i + from;
  return __builtin_shuffle(a, b, which);
}

// A line of the image (null: zeros), padded by KERNEL / 2 on the left -> its columns by index modulo STRIDE:
// [STRIDE, count], count a multiple of LANES.
NOINLINE void split_columns(const float *line, long width, long count, float *to) {
  static thread_local Scratch scratch;
  float *padded = scratch.floats(STRIDE * count);
  std::fill_n(padded, STRIDE * count, 0);
  if (line) std::copy_n(line, width, padded + KERNEL / 2);
  for (long i = 0; i < count; i += LANES) {
    const float *from = padded + STRIDE * i;
    const Floats a = load(from), b = load(from + LANES), c = load(from + 2 * LANES), d = load(from + 3 * LANES);
    for (int odd = 0; odd < 2; odd++) {
      const Floats first = every_second(a, b, odd), second = every_second(c, d, odd);
      store(to + odd * count + i, every_second(first, second, 0));
      store(to + (odd + 2) * count + i, every_second(first, second, 1));
    }
  }
}

}  // namespace

extern "C" void patch_embedding(const Patches *arguments) {
  const Patches &patches = *arguments;
  const long rows = patches.height / STRIDE, columns = patches.width / STRIDE, channels = patches.channels;
  const long count = groups_of(columns) * GROUP + LANES, lines = CHANNELS * KERNEL;  // KERNEL / STRIDE more
#pragma omp parallel for num_threads(patches.threads) schedule(dynamic)
  for (long i = 0; i < patches.batch * rows; i++) {
    static thread_local Scratch scratch;
    float *lines_by_column = scratch.floats(lines * STRIDE * count + (PATCH_VALUES + channels) * GROUP);
    float *pixels = lines_by_column + lines * STRIDE * count, *embedded = pixels + PATCH_VALUES * GROUP;
    for (long j = 0; j < lines; j++) {
      const long line = i % rows * STRIDE + j % KERNEL - KERNEL / 2, colour = i / rows * CHANNELS + j / KERNEL;
      const float *from = patches.image + (colour * patches.height + line) * patches.width;
      split_columns(line >= 0 && line < patches.height ? from : nullptr, patches.width, count,
                    lines_by_column + j * STRIDE * count);
    }
    float *out = patches.out + i * columns * channels;
    for (long column = 0; column < columns; column += GROUP) {
      for (long tap = 0; tap < PATCH_VALUES; tap++) {
        const long line = tap / KERNEL, x = tap % KERNEL;
        const float *from = lines_by_column + (line * STRIDE + x % STRIDE) * count + column + x / STRIDE;
        for (int lane = 0; lane < GROUP; lane += LANES) store(pixels + tap * GROUP + lane, load(from + lane));
      }
      linear_to(patches.proj, PATCH_VALUES, channels, pixels, embedded);
      scatter(embedded, channels,
              [&](long lane) { return column + lane < columns ? out + (column + lane) * channels : nullptr; });
    }
    const float *position = patches.position + i % rows * columns * channels;
    for (long j = 0; j < columns * channels; j++) out[j] += position[j];
  }
}
